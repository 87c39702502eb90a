use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use bytes::Bytes;
use clap::Args;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use tokio::time::{Instant, sleep, timeout};

use super::process;
use crate::{
    api,
    livekit::pool::{Pool, Roots},
};

/// For one request.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const BETWEEN: Duration = Duration::from_secs(1);
/// The longest answer that is read: metrics of many servers.
const LONGEST: usize = 16 << 20;
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
        let roots = Roots::for_urls([&self.webhooks, &self.admin].into_iter().flatten());
        let pool = Pool::new(roots, ANSWER_WITHIN)?;
        let until = Instant::now() + self.timeout.span();
        loop {
            match self.ask(&pool).await {
                Err(error) if Instant::now() < until => eprintln!("{error:#}; asking again"),
                asked => return asked,
            }
            sleep(BETWEEN).await;
        }
    }

    async fn ask(&self, pool: &Pool) -> anyhow::Result<()> {
        if let Some(base) = &self.admin {
            let (ready, said) = answer(pool, Method::GET, &format!("{base}/readyz")).await?;
            ensure!(ready == StatusCode::OK, "{base}/readyz: {ready}: {}", said.trim());
            let (found, metrics) = answer(pool, Method::GET, &format!("{base}/metrics")).await?;
            ensure!(found == StatusCode::OK, "{base}/metrics: {found}");
            ensure!(
                metrics.contains(KNOWN_METRIC),
                "{base}/metrics has no {KNOWN_METRIC}: somebody else answers there"
            );
            println!("{base}: ready");
        }
        if let Some(base) = &self.webhooks {
            let (refused, _) = answer(pool, Method::POST, &format!("{base}/webhooks/usher/probe")).await?;
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

async fn answer(pool: &Pool, method: Method, url: &str) -> anyhow::Result<(StatusCode, String)> {
    let request = Request::builder()
        .method(method)
        .uri(url)
        .body(Full::<Bytes>::default())
        .with_context(|| format!("{url:?} is no URL"))?;
    let whole = async {
        let response = pool.send(request).await.context("no answer")?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LONGEST).collect().await;
        let body = body.map_err(|error| anyhow!(error)).context("half an answer")?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    };
    timeout(ANSWER_WITHIN, whole).await.with_context(|| format!("{url}: no answer within {ANSWER_WITHIN:?}"))?
}
