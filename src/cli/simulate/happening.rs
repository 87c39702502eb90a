//! What happens on the simulated server: what a file says, and says later, or what the flags say.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::Context;
use clap::Args;
use serde::Serialize;

use crate::{
    api::Source,
    files::LOOK,
    simulator::{FaultFile, Playing, RoleFile, Scenario, ScriptFile, Spans, WebhookFaultsFile},
};

/// Who comes, and what goes wrong.
#[derive(Debug, Args)]
pub(super) struct Happening {
    /// A scenario in YAML: who comes, what they do, what goes wrong. Instead of the flags below. It is read again when
    /// it changes: scripts that are new in it begin, those that are gone end, and faults are as it says now.
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
}

/// What is told of the file.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub(super) enum News {
    /// It has changed, and is played.
    Scenario,
    /// It has changed and cannot be played; what it said before goes on.
    Broken { message: String },
}

impl Happening {
    /// What happens at first, and the text of the file.
    pub(super) fn first(&self) -> anyhow::Result<(Scenario, String)> {
        let Some(path) = &self.scenario else { return Ok((self.of_flags(), String::new())) };
        let at = || format!("--scenario {}", path.display());
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", at()))?;
        Ok((text.parse().with_context(at)?, text))
    }

    /// Plays what the file says whenever it has changed from `text`, and tells of it, as long as this is polled.
    pub(super) async fn follow(&self, mut text: String, playing: &mut Playing, tell: impl AsyncFn(News)) {
        let Some(path) = &self.scenario else { return std::future::pending().await };
        let mut seen = text.clone();
        loop {
            // An edit is taken when two looks have found the same: an editor may be in the middle of writing.
            tokio::time::sleep(LOOK).await;
            // A file that is away for a moment is one that is being replaced.
            let Ok(now) = tokio::fs::read_to_string(path).await else { continue };
            let settled = now == seen;
            seen = now;
            if !settled || seen == text {
                continue;
            }
            text.clone_from(&seen);
            match text.parse() {
                Ok(scenario) => {
                    playing.change_to(scenario);
                    tell(News::Scenario).await;
                }
                Err(error) => tell(News::Broken { message: format!("{}: {error}", path.display()) }).await,
            }
        }
    }

    fn of_flags(&self) -> Scenario {
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
        Scenario {
            scripts: vec![script],
            faults: latency.into_iter().chain(errors).collect(),
            webhooks: WebhookFaultsFile {
                lost: self.lost_webhooks,
                doubled: self.doubled_webhooks,
                late: self.late_webhooks,
                ..WebhookFaultsFile::default()
            },
        }
    }
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
