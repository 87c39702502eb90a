//! One participant: what it does, and waiting for what is done to it.

use super::JoinError;
use super::history::{Entry, History, What, infos, since_joining};
use super::info::{Info, Permission};
use super::program::Program;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

/// The program itself gives up earlier, and says on what.
const REPLY_WITHIN: Duration = Duration::from_secs(30);

/// A participant. It leaves its room when this is dropped.
///
/// Times are the wall clock's at which the participant's own client received what is told. Every wait that fails
/// panics with the whole history of the participant.
#[derive(Debug)]
pub struct Participant {
    program: Arc<Program>,
    history: Arc<History>,
}

/// How a connection ended by no doing of the participant's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// What the server gave as the reason, such as `PARTICIPANT_REMOVED`; none when the connection just broke.
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// ICE may take some seconds.
const BECOMES_ACTIVE: Duration = Duration::from_secs(20);

impl Participant {
    pub(super) async fn join(program: &Arc<Program>, url: &str, token: &str, hint: &str) -> Result<Self, JoinError> {
        let participant = Self { program: Arc::clone(program), history: program.history(hint) };
        participant.ask(json!({"do": "join", "url": url, "token": token})).await.map_err(JoinError)?;
        Ok(participant)
    }

    /// Sends a command and waits for its reply.
    async fn ask(&self, command: Value) -> Result<Value, String> {
        let replied = self.program.send(&self.history, command);
        let reply = match tokio::time::timeout(REPLY_WITHIN, replied).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(_)) => return Err("the participants program has ended".to_owned()),
            Err(_) => return Err(format!("no reply within {REPLY_WITHIN:?}")),
        };
        match reply["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(reply),
        }
    }

    async fn ask_for_sure(&self, command: Value) -> Value {
        let what = command.to_string();
        self.ask(command).await.unwrap_or_else(|error| panic!("{what}: {error}\n{}", self.history))
    }

    // What it does.

    /// Publishes a track: `media` is `audio` or `video`; `source` is what it claims to be, `CAMERA`, `MICROPHONE`,
    /// `SCREEN_SHARE`, `SCREEN_SHARE_AUDIO` or `UNKNOWN`, be it true or not. The error of a server that refuses is
    /// `NOT_ALLOWED`.
    pub async fn try_publish(&self, media: &str, source: &str, label: &str) -> Result<String, String> {
        let command = json!({"do": "publish", "media": media, "source": source, "label": label});
        self.ask(command).await.map(|reply| reply["track"].as_str().unwrap_or_default().to_owned())
    }

    /// As [`Self::try_publish`], where the server must not refuse. Returns the track's SID.
    ///
    /// The server lists the track only when its media flow, some 150 ms later; see [`Self::wait_published`].
    pub async fn publish(&self, media: &str, source: &str, label: &str) -> String {
        let track = self.try_publish(media, source, label).await;
        track.unwrap_or_else(|error| panic!("publishing {source}: {error}\n{}", self.history))
    }

    /// Unpublishes its own track.
    pub async fn unpublish(&self, track: &str) {
        self.ask_for_sure(json!({"do": "unpublish", "track": track})).await;
    }

    /// Mutes or unmutes its own track.
    pub async fn mute(&self, track: &str, muted: bool) {
        self.ask_for_sure(json!({"do": "mute", "track": track, "muted": muted})).await;
    }

    /// Changes its own name, metadata and attributes, as far as given: an object with these three. Fails when the
    /// server refuses.
    pub async fn update(&self, change: Value) -> Result<(), String> {
        let mut command = change;
        command["do"] = json!("update");
        self.ask(command).await.map(drop)
    }

    /// Changes its own attributes.
    pub async fn set_attributes<const N: usize>(&self, attributes: [(&str, &str); N]) -> Result<(), String> {
        self.update(json!({"attributes": BTreeMap::from(attributes)})).await
    }

    /// Breaks its connection and joins anew with the token of its first join: what an application does that gives its
    /// users a token once.
    pub async fn reconnect_first(&self) {
        self.ask_for_sure(json!({"do": "reconnect", "with": "first"})).await;
    }

    /// Breaks its connection and joins anew with the last token that the server sent it: what LiveKit's clients do
    /// when their connection breaks for long.
    pub async fn reconnect_refreshed(&self) {
        self.ask_for_sure(json!({"do": "reconnect", "with": "refreshed"})).await;
    }

    /// As the two above, `with` being `first` or `refreshed`, where it may fail.
    pub async fn try_reconnect(&self, with: &str) -> Result<(), JoinError> {
        self.ask(json!({"do": "reconnect", "with": with})).await.map(drop).map_err(JoinError)
    }

    /// Breaks its connection without a word.
    pub async fn drop_connection(&self) {
        self.ask_for_sure(json!({"do": "drop"})).await;
    }

    /// Leaves.
    pub async fn leave(&self) {
        self.ask_for_sure(json!({"do": "leave"})).await;
    }

    // What it knows.

    /// What it last knew of itself.
    pub fn info(&self) -> Info {
        self.history.info().unwrap_or_default()
    }

    /// What it may do, as it last knew.
    pub fn permission(&self) -> Permission {
        self.info().permission
    }

    /// The SID of its present session.
    pub fn sid(&self) -> String {
        self.info().sid
    }

    /// When it was last connected.
    pub fn connected_at(&self) -> Timestamp {
        let entries = self.history.entries();
        let joined = entries.iter().rev().find(|entry| matches!(entry.what, What::Joined(_)));
        joined.map(|entry| entry.at).expect("it has joined, or there would be no Participant")
    }

    /// The claims of the last refreshed token; `null` when none has arrived.
    pub async fn refreshed_claims(&self) -> Value {
        self.ask_for_sure(json!({"do": "info"})).await["claims"].take()
    }

    /// Its states so far, and since when it knew each. The first of a session is that of its joining.
    pub fn infos(&self) -> Vec<(Timestamp, Info)> {
        infos(&self.history.entries()).map(|(at, info)| (at, info.clone())).collect()
    }

    /// How many times the server has changed something about it, from outside or by its own wish.
    pub fn changes(&self) -> usize {
        self.history.entries().iter().filter(|entry| entry.what.is_change()).count()
    }

    /// Everything that happened to it, for people.
    pub fn history(&self) -> String {
        self.history.to_string()
    }

    // Waiting.

    /// Waits until it knows itself to be as wanted, and returns since when it has been so without a break.
    #[track_caller]
    pub fn wait_for(
        &self,
        timeout: Duration,
        mut wanted: impl FnMut(&Info) -> bool,
    ) -> impl Future<Output = Timestamp> {
        let look =
            move |entries: &[Entry]| infos(entries).rev().map_while(|(at, info)| wanted(info).then_some(at)).last();
        self.wait(timeout, "to be as wanted", look)
    }

    /// Waits until its connection has ended by no doing of its own.
    #[track_caller]
    pub fn wait_left(&self, timeout: Duration) -> impl Future<Output = Left> {
        self.wait(timeout, "its end", |entries| {
            since_joining(entries).iter().find_map(|entry| match &entry.what {
                What::Left { reason } => Some(Left { reason: reason.clone(), at: entry.at }),
                _ => None,
            })
        })
    }

    /// Waits until the server has removed it, and returns when.
    ///
    /// # Panics
    ///
    /// Also when its connection has ended for another reason.
    #[track_caller]
    pub fn wait_removed(&self, timeout: Duration) -> impl Future<Output = Timestamp> {
        let caller = Location::caller();
        let left = self.wait_left(timeout);
        async move {
            let Left { reason, at } = left.await;
            let removed = reason.as_deref() == Some("PARTICIPANT_REMOVED");
            assert!(removed, "removed? {reason:?}, at {caller}\n{}", self.history);
            at
        }
    }

    /// Waits until the server lists this track of its own, and returns since when it does.
    #[track_caller]
    pub fn wait_published(&self, track: &str, timeout: Duration) -> impl Future<Output = Timestamp> {
        self.wait_for(timeout, move |info| info.track(track).is_some())
    }

    /// Waits until the server has unpublished this track of its own, and returns when.
    #[track_caller]
    pub fn wait_unpublished(&self, track: &str, timeout: Duration) -> impl Future<Output = Timestamp> {
        let wanted = track.to_owned();
        self.wait(timeout, format!("{track} to be unpublished"), move |entries| {
            let is_it = |entry: &&Entry| matches!(&entry.what, What::Unpublished { track } if *track == wanted);
            entries.iter().find(is_it).map(|entry| entry.at)
        })
    }

    /// Waits until the last that the server told it about this track is to mute it, or to unmute it; returns when.
    #[track_caller]
    pub fn wait_muted(&self, track: &str, muted: bool, timeout: Duration) -> impl Future<Output = Timestamp> {
        let wanted = track.to_owned();
        self.wait(timeout, format!("{track} to be muted: {muted}"), move |entries| {
            let of_it = |entry: &Entry| match &entry.what {
                What::Muted { track, muted } if *track == wanted => Some((*muted, entry.at)),
                _ => None,
            };
            entries.iter().rev().find_map(of_it).and_then(|(is, at)| (is == muted).then_some(at))
        })
    }

    /// Waits until a refreshed token has arrived after `after`, and returns when.
    #[track_caller]
    pub fn wait_token(&self, after: Timestamp, timeout: Duration) -> impl Future<Output = Timestamp> {
        self.wait(timeout, "a refreshed token", move |entries| {
            let is_it = |entry: &&Entry| matches!(entry.what, What::Token) && entry.at >= after;
            entries.iter().find(is_it).map(|entry| entry.at)
        })
    }

    /// Waits until the server has changed nothing about it for as long as `quiet`. What a test does to a participant
    /// may echo for a while: a track that was just published brings some updates when its media flow.
    #[track_caller]
    pub fn wait_quiet(&self, quiet: Duration, timeout: Duration) -> impl Future<Output = ()> {
        let caller = Location::caller();
        async move {
            let settle = async {
                loop {
                    let before = self.changes();
                    tokio::time::sleep(quiet).await;
                    if self.changes() == before {
                        return;
                    }
                }
            };
            let settled = tokio::time::timeout(timeout, settle).await;
            assert!(settled.is_ok(), "not quiet for {quiet:?} within {timeout:?}, at {caller}\n{}", self.history);
        }
    }

    /// Waits for this long, in which the server must not change anything about it. That it becomes active after it has
    /// joined is no change.
    #[track_caller]
    pub fn assert_unchanged_for(&self, duration: Duration) -> impl Future<Output = ()> {
        let caller = Location::caller();
        // Of a hidden participant's own states LiveKit tells it nothing.
        let is_active = |entries: &[Entry]| {
            infos(entries).any(|(_, info)| info.state == "ACTIVE" || info.permission.hidden).then_some(())
        };
        let active = self.wait(BECOMES_ACTIVE, "to be active", is_active);
        async move {
            active.await;
            let before = self.changes();
            tokio::time::sleep(duration).await;
            let changed = self.changes() - before;
            assert!(changed == 0, "{changed} changes within {duration:?}, at {caller}\n{}", self.history);
        }
    }

    #[track_caller]
    fn wait<T>(
        &self,
        timeout: Duration,
        what: impl Display,
        look: impl FnMut(&[Entry]) -> Option<T>,
    ) -> impl Future<Output = T> {
        let caller = Location::caller();
        async move {
            match tokio::time::timeout(timeout, self.history.wait(look)).await {
                Ok(found) => found,
                Err(_) => panic!("waited {timeout:?} for {what}, at {caller}\n{}", self.history),
            }
        }
    }
}

impl Drop for Participant {
    fn drop(&mut self) {
        drop(self.program.send(&self.history, json!({"do": "leave"})));
    }
}
