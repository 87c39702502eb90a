//! Malformed manifests are refused, and the message names the field and the remedy: by the API server, and by what judges
//! manifests in files.

use usher::files::Checker;

use crate::{
    cluster::{self, collection, refusal, send},
    manifest::{Place, manifest},
};

/// A fragment that is refused, and what the message has to contain.
pub(crate) struct Refused {
    place: Place,
    yaml: String,
    says: Vec<String>,
}

/// `field` is the path, `remedy` a part of the sentence that tells what to do.
pub(crate) fn refused(place: Place, yaml: impl Into<String>, field: &str, remedy: &str) -> Refused {
    Refused { place, yaml: yaml.into(), says: vec![field.into(), remedy.into()] }
}

/// What judges manifests in files says: a line for each thing that is wrong.
fn judged(checker: &Checker, manifest: &serde_json::Value) -> Result<serde_json::Value, String> {
    checker.admit(manifest).map_err(|problems| problems.iter().map(|problem| format!("{problem}\n")).collect())
}

/// Sends every case as a dry run and reports all that went otherwise than expected, not only the first.
pub(crate) async fn check(cases: Vec<Refused>) {
    let client = cluster::client().await;
    let checker = Checker::new().unwrap();
    let mut wrong = Vec::new();
    for Refused { place, yaml, says } in &cases {
        let manifest = manifest(*place, yaml);
        match judged(&checker, &manifest) {
            Ok(_) => wrong.push(format!("accepted from a file: {place:?} {yaml:.200}")),
            // The words of the schema are our own, where the API server's are about a Go library.
            Err(message) if message.contains(says[0].trim_end_matches('"')) => {}
            Err(message) => {
                wrong.push(format!("{place:?} {yaml:.200}\n  wanted {says:?}\n  got from a file {message:.1200}"))
            }
        }
        match refusal(send(&client, "POST", &collection(&manifest), "&dryRun=All", &manifest).await) {
            Err(_) => wrong.push(format!("accepted: {place:?} {yaml:.200}")),
            Ok(message) if says.iter().all(|part| message.contains(part)) => {
                if std::env::var_os("SHOW_MESSAGES").is_some() {
                    println!("{place:?} {yaml:.120}\n    {message:.600}");
                }
            }
            Ok(message) => wrong.push(format!("{place:?} {yaml:.200}\n  wanted {says:?}\n  got {message:.1200}")),
        }
    }
    assert!(wrong.is_empty(), "{} of {} otherwise than expected:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    println!("{} manifests refused", cases.len());
}
