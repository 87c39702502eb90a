//! One watch: list, watch, and what to do when that does not work.

use std::{fmt::Debug, pin::pin, time::Duration};

use futures::StreamExt;
use kube::{
    Api, Resource,
    runtime::watcher::{self, Event, watcher},
};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout};

use super::hub::Sink;

/// A list of thousands of objects comes in pages, each of which comes at once or not at all.
const PAGE_WITHIN: Duration = Duration::from_secs(30);
/// The API server ends each watch after this time, so that a connection that died unnoticed is noticed
/// ([`super::client`] reads for no longer than a little more).
pub(super) const WATCH_FOR: Duration = Duration::from_secs(60);
/// Pauses after a failure: the first, and the longest. To come back soon after an outage is worth some refused
/// connections; there are few watches.
const PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(2));
/// A right may be given, or a CRD installed, at any moment, and somebody waits for it to be noticed.
const DENIED: Duration = Duration::from_secs(3);
/// A right that was there is withdrawn when the API server has refused for so long. One that has just started refuses
/// what it permits once it has read all roles and bindings (kubernetes/kubernetes, issue 121635): some seconds, and more
/// in the largest clusters.
const WITHDRAWN: Duration = Duration::from_secs(60);

/// Why a watch does not work.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Trouble {
    /// We have not the right; who we are.
    Forbidden(String),
    /// The API server does not know the kind.
    NoKind,
    /// It was away for too long: what it tells next is the whole list again.
    Expired,
    /// Anything else; it is tried again.
    Other,
}

impl Trouble {
    fn of(error: &watcher::Error) -> Self {
        use watcher::Error::{InitialListFailed, NoResourceVersion, WatchError, WatchFailed, WatchStartFailed};
        let status = match error {
            InitialListFailed(kube::Error::Api(status))
            | WatchStartFailed(kube::Error::Api(status))
            | WatchFailed(kube::Error::Api(status))
            | WatchError(status) => status,
            InitialListFailed(_) | WatchStartFailed(_) | WatchFailed(_) | NoResourceVersion => return Self::Other,
        };
        match status.code {
            403 => Self::Forbidden(who(&status.message).to_owned()),
            404 => Self::NoKind,
            410 => Self::Expired,
            _ => Self::Other,
        }
    }
}

/// Who we are, out of the API server's refusal: `secrets "x" is forbidden: User "system:serviceaccount:a:b" cannot …`.
fn who(message: &str) -> &str {
    message.split_once("User \"").and_then(|(_, rest)| rest.split_once('"')).map_or("", |(who, _)| who)
}

/// How a watch has gone so far.
#[derive(Debug, Default)]
struct Course {
    /// Failures in a row.
    failures: u32,
    /// What the log was told last, as long as it lasts.
    told: Option<Trouble>,
    /// Whether everything was ever listed.
    listed: bool,
    /// When it was listed last, if nothing but refusals came since.
    permitted: Option<Instant>,
    /// Since when every answer is a refusal.
    refused: Option<Instant>,
}

impl Course {
    fn has_listed(&mut self, now: Instant) {
        (self.listed, self.permitted) = (true, Some(now));
    }

    fn works(&mut self, what: &str) {
        if self.told.take().is_some() {
            tracing::info!(what, "watching again");
        }
        *self = Self { listed: self.listed, permitted: self.permitted, ..Self::default() };
    }

    /// Takes in a failure, and says whether we have not, or no longer, the right.
    fn fails(&mut self, what: &str, trouble: &Trouble, error: impl std::fmt::Display, now: Instant) -> bool {
        self.failures += 1;
        note(what, trouble.clone(), error, &mut self.told);
        if !matches!(trouble, Trouble::Forbidden(_)) {
            (self.refused, self.permitted) = (None, None);
            return false;
        }
        let since = *self.refused.get_or_insert(now);
        // A list was permitted a moment ago, so the roles have been read: what is missing is the right to watch.
        let may_only_list = self.permitted.is_some_and(|permitted| now < permitted + DENIED);
        !self.listed || may_only_list || now >= since + WITHDRAWN
    }
}

/// Watches for ever. `what` is for the log.
///
/// Each watch waits for itself: behind a common backoff, one that fails starves the others.
pub(super) async fn watch<K>(api: Api<K>, config: watcher::Config, sink: impl Sink<K>, what: &str)
where
    K: Resource<DynamicType: Default> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let mut course = Course::default();
    loop {
        let trouble = until_trouble(api.clone(), config.clone(), &sink, what, &mut course).await;
        sleep(match trouble {
            Trouble::Forbidden(_) | Trouble::NoKind => DENIED,
            Trouble::Expired | Trouble::Other => pause(course.failures),
        })
        .await;
    }
}

/// Watches until a new beginning is needed. Failures that the watcher itself recovers from are waited out here, for it
/// goes on where it was.
async fn until_trouble<K>(
    api: Api<K>,
    config: watcher::Config,
    sink: &impl Sink<K>,
    what: &str,
    course: &mut Course,
) -> Trouble
where
    K: Resource<DynamicType: Default> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let mut stream = pin!(watcher(api, config.timeout(u32::try_from(WATCH_FOR.as_secs()).unwrap_or(60))));
    let mut listed: Option<Vec<K>> = Some(Vec::new());
    loop {
        let next = match &listed {
            Some(_) => match timeout(PAGE_WITHIN, stream.next()).await {
                Ok(next) => next,
                Err(_) => {
                    course.fails(what, &Trouble::Other, "the list does not come", Instant::now());
                    return Trouble::Other;
                }
            },
            None => stream.next().await,
        };
        match next {
            Some(Ok(event)) => {
                match event {
                    Event::Init => listed = Some(Vec::new()),
                    Event::InitApply(object) => listed.get_or_insert_default().push(object),
                    Event::InitDone => {
                        sink.reset(listed.take().unwrap_or_default());
                        course.has_listed(Instant::now());
                    }
                    Event::Apply(object) => sink.apply(object),
                    Event::Delete(object) => sink.delete(object),
                }
                // `Init` comes before anything has been asked.
                if listed.is_none() {
                    course.works(what);
                }
            }
            Some(Err(error)) => {
                let trouble = Trouble::of(&error);
                let denied = course.fails(what, &trouble, &error, Instant::now());
                match &trouble {
                    Trouble::Forbidden(who) => {
                        if denied {
                            sink.forbidden(who);
                        }
                        return trouble;
                    }
                    Trouble::NoKind => return trouble,
                    Trouble::Expired | Trouble::Other => sleep(pause(course.failures)).await,
                }
            }
            None => return Trouble::Other,
        }
    }
}

/// Tells of trouble: loudly when it begins or becomes another, then quietly.
fn note(what: &str, trouble: Trouble, error: impl std::fmt::Display, told: &mut Option<Trouble>) {
    if told.as_ref() == Some(&trouble) {
        tracing::debug!(what, %error, "still cannot watch");
        return;
    }
    match &trouble {
        Trouble::NoKind => tracing::warn!(
            what,
            "the CustomResourceDefinition is missing: apply what `usher crd` prints; waiting for it"
        ),
        Trouble::Forbidden(who) => tracing::warn!(what, who, "not permitted to list and watch; trying again"),
        // The API server forgets old versions after some minutes: to be told everything anew is usual.
        Trouble::Expired => tracing::debug!(what, %error, "listing anew"),
        Trouble::Other => tracing::warn!(what, %error, "cannot watch; what is known stays, trying again"),
    }
    *told = Some(trouble);
}

fn pause(failures: u32) -> Duration {
    let (first, longest) = PAUSE;
    let pause = first.saturating_mul(1 << failures.saturating_sub(1).min(8)).min(longest);
    // Replicas that lost the same API server at the same moment do not come back at the same moment.
    pause.mul_f64(0.75 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_says_who_we_are() {
        let refusal = r#"secrets "keys" is forbidden: User "system:serviceaccount:a:b" cannot list resource "secrets""#;
        assert_eq!(who(refusal), "system:serviceaccount:a:b");
        assert_eq!(who("no"), "");
    }

    #[test]
    fn a_right_that_was_there_is_withdrawn_when_the_refusal_stands() {
        let refused = Trouble::Forbidden("us".to_owned());
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut course = Course::default();
        assert!(course.fails("it", &refused, "no", at(0)), "there was no right");

        course.has_listed(at(0));
        course.works("it");
        assert!(!course.fails("it", &refused, "no", at(10)));
        assert!(!course.fails("it", &refused, "no", at(69)));
        assert!(course.fails("it", &refused, "no", at(70)));
        assert!(course.fails("it", &refused, "no", at(73)));

        course.works("it");
        assert!(!course.fails("it", &refused, "no", at(100)));
        assert!(!course.fails("it", &Trouble::Other, "away", at(159)));
        assert!(!course.fails("it", &refused, "no", at(161)), "it came back anew meanwhile");
        assert!(course.fails("it", &refused, "no", at(221)));
    }

    #[test]
    fn who_may_list_and_not_watch_is_denied_at_once() {
        let (mut course, now) = (Course::default(), Instant::now());
        let refused = Trouble::Forbidden("us".to_owned());
        course.has_listed(now);
        course.works("it");
        assert!(course.fails("it", &refused, "no", now));

        course.has_listed(now);
        course.works("it");
        assert!(!course.fails("it", &Trouble::Other, "away", now));
        assert!(!course.fails("it", &refused, "no", now), "it may be another API server");
    }

    #[test]
    fn pauses_grow_and_end() {
        assert!(pause(1) < Duration::from_millis(400));
        assert!(pause(1000) <= Duration::from_millis(2_500) && pause(1000) >= Duration::from_millis(1_500));
    }
}
