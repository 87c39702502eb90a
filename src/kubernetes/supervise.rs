//! Tasks that outlive their panics.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt;

use crate::metrics::Metrics;

/// A task that has panicked begins anew after this time.
const RESTART: Duration = Duration::from_secs(1);

/// Runs a task that should not end, and begins it anew when it panics.
///
/// A watch that begins anew lists everything, so that it makes good what it may have missed. A panic while the index
/// was locked is another matter: see [`super::hub::Hub::lock`].
pub(super) async fn supervised<F: Future<Output = ()>>(what: &str, metrics: &Metrics, mut task: impl FnMut() -> F) {
    loop {
        match AssertUnwindSafe(task()).catch_unwind().await {
            Ok(()) => return,
            Err(_) => {
                metrics.panics.inc();
                tracing::error!(what, "a task has panicked; it begins anew");
                tokio::time::sleep(RESTART).await;
            }
        }
    }
}
