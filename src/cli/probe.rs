use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Args;
use reqwest::{Client, StatusCode, redirect::Policy};
use tokio::time::{Instant, sleep};

use super::process;
use crate::api;

/// For one request.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const BETWEEN: Duration = Duration::from_secs(1);
/// A metric that every operator has.
const KNOWN_METRIC: &str = "usher_build_info";

/// Ask a running operator whether it is there, over the network and as LiveKit does.
///
/// Example: usher probe --webhooks http://usher.usher.svc --admin http://usher-admin.usher.svc:8081
///
/// The chart runs it at `helm test`. It asks again for as long as --timeout says.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(super) struct Probe {
    /// Where webhooks are received: one that nobody signed must be refused there.
    #[arg(long, env = "USHER_WEBHOOKS_URL")]
    webhooks: Option<String>,
    /// Where health and metrics are: it must be ready there.
    #[arg(long, env = "USHER_ADMIN_URL")]
    admin: Option<String>,
    /// After what time it is given up, as in 30s.
    #[arg(long, env = "USHER_TIMEOUT", default_value = "60s")]
    timeout: api::Duration,
}

impl Probe {
    pub(super) fn execute(self) -> anyhow::Result<()> {
        process::block_on(self.ask_until_it_is_there())
    }

    async fn ask_until_it_is_there(self) -> anyhow::Result<()> {
        let client = Client::builder().no_proxy().redirect(Policy::none()).timeout(ANSWER_WITHIN).build()?;
        let until = Instant::now() + self.timeout.span();
        loop {
            match self.ask(&client).await {
                Err(error) if Instant::now() < until => eprintln!("{error:#}; asking again"),
                asked => return asked,
            }
            sleep(BETWEEN).await;
        }
    }

    async fn ask(&self, client: &Client) -> anyhow::Result<()> {
        if let Some(base) = &self.admin {
            let (ready, said) = answer(client.get(format!("{base}/readyz"))).await?;
            ensure!(ready == StatusCode::OK, "{base}/readyz: {ready}: {}", said.trim());
            let (found, metrics) = answer(client.get(format!("{base}/metrics"))).await?;
            ensure!(found == StatusCode::OK, "{base}/metrics: {found}");
            ensure!(
                metrics.contains(KNOWN_METRIC),
                "{base}/metrics has no {KNOWN_METRIC}: somebody else answers there"
            );
            println!("{base}: ready");
        }
        if let Some(base) = &self.webhooks {
            let (refused, _) = answer(client.post(format!("{base}/webhooks/usher/probe"))).await?;
            if refused != StatusCode::UNAUTHORIZED {
                bail!(
                    "{base}/webhooks: {refused} instead of 401 for a webhook that nobody signed: somebody else answers"
                );
            }
            println!("{base}: takes webhooks");
        }
        Ok(())
    }
}

async fn answer(request: reqwest::RequestBuilder) -> anyhow::Result<(StatusCode, String)> {
    let response = request.send().await.context("no answer")?;
    let status = response.status();
    Ok((status, response.text().await.context("half an answer")?))
}
