//! Real WebRTC participants, and what each of them sees.

mod history;
mod info;
mod participant;
mod program;

pub use self::info::{Info, Permission, Track};
pub use self::participant::{Left, Participant};

use self::program::Program;
use crate::livekit::{LiveKit, TokenSpec};
use futures::future::join_all;
use std::fmt;
use std::sync::Arc;

/// How [`Participants::start_with`] shall start the program.
#[derive(Clone, Debug)]
pub struct ParticipantsOptions {
    /// Whether participants report what they hear of the others. In a room of N that is N² lines.
    pub others: bool,
}

impl Default for ParticipantsOptions {
    fn default() -> Self {
        Self { others: true }
    }
}

/// A process that holds any number of participants. It ends with the last of them and of the clones of this.
#[derive(Clone, Debug)]
pub struct Participants {
    program: Arc<Program>,
}

impl Participants {
    /// Starts one.
    pub fn start() -> Self {
        Self::start_with(&ParticipantsOptions::default())
    }

    /// Starts one, with options.
    pub fn start_with(options: &ParticipantsOptions) -> Self {
        let flags: &[&str] = if options.others { &[] } else { &["-others=false"] };
        Self { program: Arc::new(Program::start(flags)) }
    }

    /// Lets a participant join, with a token of the server's first key, and waits until it is connected.
    ///
    /// # Panics
    ///
    /// When it cannot.
    pub async fn join(&self, livekit: &LiveKit, spec: &TokenSpec) -> Participant {
        let token = livekit.token(spec);
        let joined = self.try_join(&livekit.ws_url(), &token, &spec.identity).await;
        joined.unwrap_or_else(|error| panic!("{} cannot join {}: {error}", spec.identity, spec.room))
    }

    /// Lets several join at once.
    pub async fn join_all(&self, livekit: &LiveKit, specs: &[TokenSpec]) -> Vec<Participant> {
        join_all(specs.iter().map(|spec| self.join(livekit, spec))).await
    }

    /// Lets a participant join with any token; `hint` is what messages call it.
    pub async fn try_join(&self, url: &str, token: &str, hint: &str) -> Result<Participant, JoinError> {
        Participant::join(&self.program, url, token, hint).await
    }

    /// The process id of the program.
    pub fn id(&self) -> i32 {
        self.program.process().id()
    }

    /// Kills the program: all its participants vanish without a word.
    pub async fn kill(&self) {
        self.program.process().kill().await;
    }
}

/// Why a participant could not join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinError(pub String);

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for JoinError {}
