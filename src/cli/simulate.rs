//! `usher simulate`: the simulated LiveKit as a server of its own.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Context;
use clap::{ArgAction, Args, ValueEnum};
use serde::Serialize;
use tokio::net::TcpListener;

use super::{
    lines::Lines,
    process::{self, Log, terminated, within_grace},
};
use crate::{
    api::{self, Source},
    livekit::Credentials,
    simulator::{
        Cloud, Edition, FaultFile, Options, RoleFile, Running, Scenario, ScriptFile, Simulator, Spans,
        WebhookFaultsFile,
    },
};

/// Run a LiveKit-compatible server in memory, to try policies against.
///
/// Example: usher simulate --rooms 3 --participants 30 --webhook-url http://127.0.0.1:8080/webhooks/default/main
///
/// It has LiveKit's RoomService and webhooks, and participants that come, publish and go by themselves; no media and no
/// signalling, so that no real client can join.
#[derive(Debug, Args)]
pub(super) struct Simulate {
    /// Where the RoomService is answered.
    #[arg(long, env = "USHER_LISTEN", default_value = "127.0.0.1:7880")]
    listen: SocketAddr,
    /// The API key.
    #[arg(long, env = "USHER_API_KEY", default_value = "devkey")]
    api_key: String,
    /// The API secret.
    #[arg(long, env = "USHER_API_SECRET", default_value = "secret", hide_env_values = true)]
    api_secret: String,
    /// Where webhooks go; may be given several times. For Usher: /webhooks/<namespace>/<name of the LiveKitServer>.
    #[arg(long = "webhook-url", env = "USHER_WEBHOOK_URL", value_name = "URL", value_delimiter = ',')]
    webhook_urls: Vec<String>,
    /// Be LiveKit Cloud, which can forward and move participants and revoke tokens.
    #[arg(long, env = "USHER_CLOUD", action = ArgAction::SetTrue)]
    cloud: bool,
    /// Let tracks be unmuted by the API, as LiveKit's room.enable_remote_unmute does.
    #[arg(long, env = "USHER_REMOTE_UNMUTE", action = ArgAction::SetTrue)]
    remote_unmute: bool,
    /// A scenario in YAML: who comes, what they do, what goes wrong. Instead of the flags below.
    #[arg(long, env = "USHER_SCENARIO", value_name = "FILE",
        conflicts_with_all = ["participants", "latency", "errors", "lost_webhooks", "doubled_webhooks", "late_webhooks"])]
    scenario: Option<PathBuf>,
    /// How many rooms, room-1 and so on, the participants are in.
    #[arg(long, env = "USHER_ROOMS", default_value = "3", value_parser = clap::value_parser!(u16).range(1..))]
    rooms: u16,
    /// How many participants there are at once.
    #[arg(long, env = "USHER_PARTICIPANTS", default_value = "0")]
    participants: usize,
    /// How many come within a second; 0 for all at once.
    #[arg(long, env = "USHER_JOINS_PER_SECOND", default_value = "5", value_parser = rate)]
    joins_per_second: f64,
    /// How long each stays, as in 30s-2m. Default: for ever.
    #[arg(long, env = "USHER_STAY")]
    stay: Option<Spans>,
    /// What each publishes, as far as it may.
    #[arg(long, env = "USHER_PUBLISHES", value_delimiter = ',', value_parser = source)]
    publishes: Vec<Source>,
    /// Calls are answered so much later, as in 5ms-50ms.
    #[arg(long, env = "USHER_LATENCY")]
    latency: Option<Spans>,
    /// How likely a call is answered with an error and not acted upon: 0 to 1.
    #[arg(long, env = "USHER_ERRORS", default_value = "0", value_parser = chance)]
    errors: f64,
    /// The HTTP status of those errors, such as 429.
    #[arg(long, env = "USHER_ERROR_STATUS", default_value = "503",
        value_parser = clap::value_parser!(u16).range(400..600))]
    error_status: u16,
    /// How likely a webhook is lost: 0 to 1.
    #[arg(long, env = "USHER_LOST_WEBHOOKS", default_value = "0", value_parser = chance)]
    lost_webhooks: f64,
    /// How likely a webhook comes twice: 0 to 1.
    #[arg(long, env = "USHER_DOUBLED_WEBHOOKS", default_value = "0", value_parser = chance)]
    doubled_webhooks: f64,
    /// How likely a webhook comes a second or two late: 0 to 1.
    #[arg(long, env = "USHER_LATE_WEBHOOKS", default_value = "0", value_parser = chance)]
    late_webhooks: f64,
    /// Where chance begins: the same seed, the same participants.
    #[arg(long, env = "USHER_SEED", default_value = "0")]
    seed: u64,
    /// End after this time, as in 10m. Default: at Ctrl-C.
    #[arg(long, env = "USHER_DURATION")]
    duration: Option<api::Duration>,
    /// Print lines for people or, as json, for programs.
    #[arg(long, short = 'o', env = "USHER_OUTPUT", value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    log: Log,
}

/// Whom the output is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// People.
    Text,
    /// Programs: a JSON object a line.
    Json,
}

/// What is said when it runs.
#[derive(Serialize)]
#[serde(tag = "type", rename = "listening", rename_all = "camelCase")]
struct Listening {
    url: String,
    api_key: String,
    cloud: bool,
}

/// What is said now and then.
#[derive(Serialize)]
#[serde(tag = "type", rename = "counts", rename_all = "camelCase")]
struct Counts {
    rooms: usize,
    participants: usize,
    webhooks_sent: u64,
    webhooks_failed: u64,
}

/// Between two counts.
const COUNT_EVERY: Duration = Duration::from_secs(10);

impl Simulate {
    pub(super) fn execute(self) -> anyhow::Result<()> {
        self.log.begin()?;
        process::block_on(self.serve())
    }

    async fn serve(self) -> anyhow::Result<()> {
        let scenario = self.what_happens()?;
        let simulator = Simulator::new(Options {
            keys: vec![Credentials::new(&self.api_key, &self.api_secret)],
            edition: if self.cloud { Edition::Cloud(Cloud::default()) } else { Edition::OpenSource },
            remote_unmute: self.remote_unmute,
            seed: self.seed,
            webhook_urls: self.webhook_urls.clone(),
            ..Options::default()
        });
        let listener = TcpListener::bind(self.listen).await;
        let listener = listener.with_context(|| format!("cannot listen on --listen {}", self.listen))?;
        let server = Running::serve(simulator.clone(), listener)?;
        let play = scenario.play(&simulator);
        let lines = (self.output == Output::Json).then(|| Lines::to(std::io::stdout()));
        let listening = Listening { url: server.url(), api_key: self.api_key.clone(), cloud: self.cloud };
        match &lines {
            Some(lines) => lines.write(&listening).await,
            None => {
                println!("LiveKit, simulated, on {} (API key {}). Ctrl-C ends it.", listening.url, listening.api_key)
            }
        }
        let end = async {
            match &self.duration {
                Some(duration) => tokio::time::sleep(duration.span()).await,
                None => std::future::pending().await,
            }
        };
        let counting = async {
            loop {
                tokio::time::sleep(COUNT_EVERY).await;
                let counts = counts(&simulator);
                match &lines {
                    Some(lines) => lines.write(&counts).await,
                    None => println!("{} rooms, {} participants", counts.rooms, counts.participants),
                }
            }
        };
        let ended = tokio::select! {
            terminated = terminated() => terminated,
            () = end => Ok(()),
            () = counting => Ok(()),
        };
        drop(play);
        within_grace(async {
            server.stop().await;
            if let Some(lines) = lines {
                lines.write(&counts(&simulator)).await;
                lines.end().await;
            }
        })
        .await;
        ended
    }

    /// The scenario of the file, or of the flags.
    fn what_happens(&self) -> anyhow::Result<Scenario> {
        if let Some(path) = &self.scenario {
            let at = || format!("--scenario {}", path.display());
            let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", at()))?;
            return text.parse().with_context(at);
        }
        let fault = |latency, status, chance| FaultFile {
            method: None,
            room: None,
            chance,
            times: None,
            latency,
            slow_answer: None,
            status,
            retry_after: None,
            cut: false,
            hangs: false,
            stale_listing: false,
        };
        let latency = self.latency.clone().map(|latency| fault(Some(latency), None, 1.0));
        let errors = (self.errors > 0.0).then(|| fault(None, Some(self.error_status), self.errors));
        let role = RoleFile {
            identity: "guest-".to_owned(),
            weight: 1,
            name: String::new(),
            metadata: String::new(),
            attributes: BTreeMap::new(),
            kind: None,
            permission: None,
            publishes: self.publishes.clone(),
            looks: None,
            unmutes: false,
            changes: BTreeMap::new(),
            reconnects: 0.0,
            comes_back: false,
        };
        let script = ScriptFile {
            rooms: (1..=self.rooms).map(|number| format!("room-{number}")).collect(),
            participants: self.participants,
            joins_per_second: self.joins_per_second,
            stay: self.stay.clone(),
            roles: vec![role],
        };
        Ok(Scenario {
            scripts: vec![script],
            faults: latency.into_iter().chain(errors).collect(),
            webhooks: WebhookFaultsFile {
                lost: self.lost_webhooks,
                doubled: self.doubled_webhooks,
                late: self.late_webhooks,
                ..WebhookFaultsFile::default()
            },
        })
    }
}

fn counts(simulator: &Simulator) -> Counts {
    let (rooms, participants) = simulator.counts();
    let webhooks = simulator.webhook_counts();
    let webhooks_failed = webhooks.failed + webhooks.dropped;
    Counts { rooms, participants, webhooks_sent: webhooks.sent, webhooks_failed }
}

fn chance(text: &str) -> Result<f64, String> {
    within(text, 1.0)
}

fn rate(text: &str) -> Result<f64, String> {
    within(text, 100_000.0)
}

fn within(text: &str, most: f64) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..=most).contains(number));
    number.ok_or_else(|| format!("must be a number from 0 to {most}"))
}

fn source(text: &str) -> Result<Source, String> {
    serde_json::from_value(text.into())
        .map_err(|_| "is none of Camera, Microphone, ScreenShare and ScreenShareAudio".to_owned())
}
