//! Real joins during a flood of forged webhooks.

use std::{collections::BTreeMap, io::Read, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use usher_testkit::{Launch, TestDir};

use super::{
    contender::{Contender, Entrant},
    joins::Joins,
    sample::{Outcome, Sample},
    sink::Sink,
};

/// Connections of the flood, more than Usher serves at once; each sends the next webhook when the last is answered.
const CONNECTIONS: usize = 600;
/// How long it is watched against somebody who answers at once.
const WATCHED: Duration = Duration::from_secs(5);

/// What a flood does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Flooded {
    /// Forged webhooks a second that these cores can send to somebody who answers at once.
    pub possible: f64,
    /// Those that were sent to Usher, a second.
    pub sent: f64,
    /// How many of them were answered, a second, by status.
    pub answered: BTreeMap<String, f64>,
    /// As many as Usher counted as forged, all rounds together, and as were sent.
    pub counted: (f64, f64),
    /// The same joins without and with it.
    pub quiet: Outcome,
    pub flooded: Outcome,
}

/// What the program says at its end.
#[derive(Debug, Default, Deserialize)]
struct Sent {
    seconds: f64,
    sent: f64,
    answered: BTreeMap<String, f64>,
}

impl Sent {
    fn add(&mut self, other: Self) {
        self.seconds += other.seconds;
        self.sent += other.sent;
        for (status, count) in other.answered {
            *self.answered.entry(status).or_default() += count;
        }
    }

    fn a_second(&self, count: f64) -> f64 {
        (count / self.seconds).round()
    }
}

/// Joins without and with a flood, in turns.
pub async fn flood(entrant: &Entrant, joins: &Joins, rounds: usize) -> Flooded {
    let key = &entrant.livekit.keys()[0].key;
    let sink = Sink::start().await;
    let idle = during(&sink.url(), key, sleep(WATCHED)).await.1;
    drop(sink);
    let (mut quiet, mut flooded, mut sent) = (Sample::default(), Sample::default(), Sent::default());
    let url = entrant.webhooks().expect("Usher takes webhooks");
    let before = counted(entrant).await;
    for round in 0..rounds {
        quiet.add(joins.round(entrant, 2 * round).await);
        let (sample, said) = during(&url, key, async {
            sleep(Duration::from_millis(500)).await;
            joins.round(entrant, 2 * round + 1).await
        })
        .await;
        flooded.add(sample);
        sent.add(said);
        sleep(Duration::from_secs(1)).await;
    }
    let counted = (counted(entrant).await - before, sent.sent);
    Flooded {
        possible: idle.a_second(idle.answered.values().sum()),
        sent: sent.a_second(sent.sent),
        answered: sent.answered.iter().map(|(status, count)| (status.clone(), sent.a_second(*count))).collect(),
        counted,
        quiet: quiet.outcome(Contender::Usher),
        flooded: flooded.outcome(Contender::Usher),
    }
}

/// Floods an address while something happens.
async fn during<T>(url: &str, key: &str, happens: impl Future<Output = T>) -> (T, Sent) {
    let own = std::env::current_exe().expect("this program has a path");
    let flood = Launch::new(own.with_file_name("flood"), TestDir::current().log("flood"));
    let mut flood = flood.arg(url).arg(CONNECTIONS.to_string()).arg(key).piped().start();
    let (_input, mut output) = flood.take_pipes().expect("it has pipes");
    let happened = happens.await;
    flood.terminate(Duration::from_secs(10)).await.expect("it ends");
    let mut said = String::new();
    output.read_to_string(&mut said).expect("it writes text");
    (happened, serde_json::from_str(&said).unwrap_or_else(|error| panic!("flood said {said:?}: {error}")))
}

async fn counted(entrant: &Entrant) -> f64 {
    entrant.metric("usher_webhooks_rejected_total{reason=\"signature\"}").await
}
