//! Waiting for something to become true.

use std::fmt::Display;
use std::panic::Location;
use std::time::{Duration, Instant};

/// The pause between two looks. Short, for a test pays half of it per wait, and what is looked at is on this machine.
const BETWEEN: Duration = Duration::from_millis(20);

/// Calls `check` until it returns `Ok`, and returns what that holds.
///
/// An error says what is still missing; the last one is in the panic when `timeout` passes first. A check that hangs,
/// as against a stopped server, is cut off at the timeout as well.
#[track_caller]
pub fn eventually<T, E, F>(timeout: Duration, what: &str, mut check: F) -> impl Future<Output = T>
where
    E: Display,
    F: AsyncFnMut() -> Result<T, E>,
{
    let caller = Location::caller();
    async move {
        let start = Instant::now();
        let mut looks = 0_u32;
        let mut last: Option<String> = None;
        loop {
            let left = timeout.saturating_sub(start.elapsed());
            looks += 1;
            match tokio::time::timeout(left, check()).await {
                Ok(Ok(found)) => return found,
                Ok(Err(missing)) => last = Some(missing.to_string()),
                Err(_) if last.is_none() => last = Some("the check itself did not return".to_owned()),
                Err(_) => {}
            }
            if start.elapsed() + BETWEEN >= timeout {
                let last = last.unwrap_or_default();
                panic!("{what}: not within {timeout:?}, after {looks} looks, at {caller}. At last: {last}");
            }
            tokio::time::sleep(BETWEEN).await;
        }
    }
}
