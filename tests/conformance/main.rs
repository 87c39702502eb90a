//! One suite for the simulated and the real server: what they answer to the same requests, and what comes of them.
//!
//! A case ([`case::Case`]) is somebody in a room of its own and some requests, one after the other. Both servers go
//! through all cases; what they answer and the rooms afterwards are compared, less what cannot be equal (`normal`).
//! What differs nevertheless stands with its reason in `differences`, and what stands there must differ.

// What goes wrong in a test ends it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub)]

mod case;
mod cases;
mod differences;
mod message;
mod normal;
mod run;
mod sdk;
mod stage;
mod webhooks;

use std::collections::BTreeSet;

use differences::DIFFERENCES;
use run::Observed;
use serde_json::{Value, json};
use stage::Stage;

/// How many cases go on at once: some wait three seconds for an answer.
const AT_ONCE: usize = 16;

/// The names of what differs, as in `differences`, each with both sides.
fn compare(name: &str, real: &Observed, simulated: &Observed) -> Vec<(String, String)> {
    let mut differing = Vec::new();
    let mut aspect = |aspect: &str, real: &Value, simulated: &Value| {
        let mut shown = String::new();
        differences::between("", real, simulated, &mut shown);
        if !shown.is_empty() {
            differing.push((format!("{name}: {aspect}"), shown));
        }
    };
    assert_eq!(real.replies.len(), simulated.replies.len());
    for (real, simulated) in real.replies.iter().zip(&simulated.replies) {
        aspect("status", &json!(real.status), &json!(simulated.status));
        aspect("code", &json!(real.code), &json!(simulated.code));
        aspect("content type", &json!(real.content_type), &json!(simulated.content_type));
        aspect("body", &real.body, &simulated.body);
    }
    aspect("effect", &real.effect, &simulated.effect);
    differing
}

#[tokio::test]
async fn the_simulator_answers_as_livekit_does() {
    let cases = cases::all();
    assert!(cases.len() >= 120, "{}", cases.len());
    let names: BTreeSet<_> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), cases.len(), "every case has a name of its own");

    let (real, simulated) = (Stage::real().await, Stage::simulated().await);
    let (real, simulated) = tokio::join!(real.play(&cases, AT_ONCE), simulated.play(&cases, AT_ONCE));
    let mut wrong = String::new();
    let mut excused = BTreeSet::new();
    for (case, (real, simulated)) in cases.iter().zip(real.iter().zip(&simulated)) {
        for (what, shown) in compare(&case.name, real, simulated) {
            match DIFFERENCES.iter().find(|difference| difference.what == what) {
                Some(difference) => drop(excused.insert(difference.what)),
                None => wrong.push_str(&format!("{what}\n{shown}\n")),
            }
        }
    }
    for difference in DIFFERENCES.iter().filter(|difference| !excused.contains(difference.what)) {
        wrong.push_str(&format!("{} no longer differs ({})\n", difference.what, difference.why));
    }
    assert!(wrong.is_empty(), "{wrong}");
    println!("{} cases, {} differences with a reason", cases.len(), DIFFERENCES.len());
}
