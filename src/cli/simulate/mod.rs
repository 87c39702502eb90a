//! `usher simulate`: the simulated LiveKit as a server of its own.

mod calls;
mod happening;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Context;
use clap::{ArgAction, Args, ValueEnum};
use serde::Serialize;
use tokio::net::TcpListener;

use self::{
    calls::CallLog,
    happening::{Happening, News},
};
use super::{
    lines::Lines,
    process::{self, Log, terminated, within_grace},
};
use crate::{
    api,
    livekit::Credentials,
    simulator::{Cloud, Edition, Options, Running, Simulator},
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
    #[command(flatten)]
    happening: Happening,
    /// Where chance begins: the same seed, the same participants.
    #[arg(long, env = "USHER_SEED", default_value = "0")]
    seed: u64,
    /// End after this time, as in 10m. Default: at Ctrl-C.
    #[arg(long, env = "USHER_DURATION")]
    duration: Option<api::Duration>,
    /// Log each call of the RoomService to this file, as a JSON object a line: when, which method, whom it was about,
    /// whether it was done, and how long that participant had been there.
    #[arg(long, env = "USHER_CALL_LOG", value_name = "FILE")]
    call_log: Option<PathBuf>,
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
        process::block_on_all_cores(self.serve())
    }

    async fn serve(self) -> anyhow::Result<()> {
        let (scenario, text) = self.happening.first()?;
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
        let call_log = match &self.call_log {
            None => None,
            Some(path) => {
                let log = CallLog::begin(&simulator, path).await;
                Some(log.with_context(|| format!("cannot write to --call-log {}", path.display()))?)
            }
        };
        let server = Running::serve(simulator.clone(), listener)?;
        let mut playing = scenario.play(&simulator);
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
        let following = self.happening.follow(text, &mut playing, async |news| match (&lines, &news) {
            (Some(lines), news) => lines.write(news).await,
            (None, News::Scenario) => println!("The scenario has changed."),
            (None, News::Broken { message }) => println!("{message}; what the scenario said before goes on"),
        });
        let ended = tokio::select! {
            terminated = terminated() => terminated,
            () = end => Ok(()),
            () = counting => Ok(()),
            () = following => Ok(()),
        };
        drop(playing);
        within_grace(async {
            server.stop().await;
            if let Some(call_log) = call_log {
                call_log.end().await;
            }
            if let Some(lines) = lines {
                lines.write(&counts(&simulator)).await;
                lines.end().await;
            }
        })
        .await;
        ended
    }
}

fn counts(simulator: &Simulator) -> Counts {
    let (rooms, participants) = simulator.counts();
    let webhooks = simulator.webhook_counts();
    let webhooks_failed = webhooks.failed + webhooks.dropped;
    Counts { rooms, participants, webhooks_sent: webhooks.sent, webhooks_failed }
}
