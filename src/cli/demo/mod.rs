//! `usher demo`: everything in one process, without Kubernetes and without LiveKit.

mod ledger;
mod picture;
mod sample;
mod screen;
mod show;
mod view;

use std::{
    io::{self, IsTerminal},
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    path::PathBuf,
    sync::Arc,
    time::Instant,
};

use anyhow::Context;
use clap::{Args, ValueEnum};
use tokio::{net::TcpListener, sync::mpsc};

use self::{picture::Scene, screen::Shared, show::Show};
use super::{
    operator::Operator,
    process::{self, terminated, within_grace},
};
use crate::{
    api,
    engine::{Audience, Leadership},
    files::{Files, Options},
    livekit::Credentials,
    simulator::{self, Cloud, Edition, Running, Scenario, Simulator},
};

/// Who comes.
const SCENARIO: &str = include_str!("scenario.yaml");
/// What may wait to be shown. Everything that is done is to be, also when an edit touches everybody at once.
const UNSHOWN: usize = 4096;

/// See Usher work: lively rooms on a simulated LiveKit, sample manifests to edit, and what is done to whom.
///
/// Example: usher demo
///
/// It needs no cluster and no LiveKit. The manifests are written to a folder, whose files kubectl applies as well; edit
/// one and see it act. q or Ctrl-C ends it.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// The folder of the manifests. What is in there already stays as it is, but for server.yaml.
    #[arg(long, env = "USHER_DIR", default_value = "usher-demo")]
    dir: PathBuf,
    /// Where the simulated LiveKit listens. By default any free port.
    #[arg(long, env = "USHER_LIVEKIT_ADDR", default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))]
    livekit_addr: SocketAddr,
    /// End after this time, as in 30s.
    #[arg(long, env = "USHER_DURATION")]
    duration: Option<api::Duration>,
    /// How to show it. Default: screen on a terminal, else text.
    #[arg(long, short = 'o', env = "USHER_OUTPUT", value_enum)]
    output: Option<Output>,
    /// Where chance begins: the same seed, the same participants.
    #[arg(long, env = "USHER_SEED", default_value = "7")]
    seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A picture on the terminal.
    Screen,
    /// A line for each thing that is done.
    Text,
    /// The same for programs: a JSON object a line.
    Json,
}

impl Demo {
    pub(super) fn execute(self) -> anyhow::Result<()> {
        let terminal = io::stdout().is_terminal() && io::stdin().is_terminal();
        let output = self.output.unwrap_or(if terminal { Output::Screen } else { Output::Text });
        anyhow::ensure!(output != Output::Screen || terminal, "-o screen needs a terminal: use -o text or -o json");
        let result = process::block_on_all_cores(self.play(output));
        if let Some(panic) = screen::last_panic() {
            eprintln!("{panic}");
        }
        result
    }

    async fn play(self, output: Output) -> anyhow::Result<()> {
        let begun = Instant::now();
        let operator = Operator::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), None).await?;
        let server = self.livekit(operator.webhooks).await?;
        let url = server.url();
        let folder = self.dir;
        sample::write(&folder, &url).with_context(|| format!("cannot write to --dir {}", folder.display()))?;
        let options = Options { paths: vec![folder.clone()], replicas: NonZeroU32::MIN, credentials: None };
        let files = Files::open(options, Arc::clone(&operator.metrics))
            .with_context(|| format!("correct it, or remove {} to have it written anew", folder.display()))?;

        let (sender, deeds) = mpsc::channel(UNSHOWN);
        let engine = operator.start(Leadership::alone(), Audience { deeds: sender, of_changes: true });
        let (told, news) = mpsc::channel(UNSHOWN);
        let reading = tokio::spawn(files.run(operator.wires(told)));
        let play = SCENARIO.parse::<Scenario>()?.play(server.simulator());

        let scene = Scene {
            begun,
            url,
            folder,
            simulator: server.simulator().clone(),
            metrics: Arc::clone(&operator.metrics),
            reports: operator.reports.clone(),
        };
        let ledger = Shared::default();
        let mut show = Show::begin(output, scene, Arc::clone(&ledger)).await;
        let ended = tokio::select! {
            terminated = terminated() => terminated,
            () = until(self.duration.as_ref()) => Ok(()),
            ended = show.go_on(deeds, news) => ended,
        };
        drop(play);
        within_grace(async {
            let _ = tokio::join!(operator.end(engine), reading, server.stop());
        })
        .await;
        show.end().await;
        ended
    }

    async fn livekit(&self, webhooks: SocketAddr) -> anyhow::Result<Running> {
        let simulator = Simulator::new(simulator::Options {
            keys: vec![Credentials::new(sample::KEY, sample::SECRET)],
            edition: Edition::Cloud(Cloud::default()),
            seed: self.seed,
            webhook_urls: vec![format!("http://{webhooks}/webhooks/default/{}", sample::SERVER)],
            ..simulator::Options::default()
        });
        let listener = TcpListener::bind(self.livekit_addr).await;
        let listener = listener.with_context(|| format!("cannot listen on --livekit-addr {}", self.livekit_addr))?;
        Ok(Running::serve(simulator, listener)?)
    }
}

async fn until(duration: Option<&api::Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration.span()).await,
        None => std::future::pending().await,
    }
}
