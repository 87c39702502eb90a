//! What a proxy may do to a request.

use super::Call;
use bytes::Bytes;
use http::StatusCode;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What happens to a request instead of being sent on and answered.
#[derive(Clone)]
pub enum Fault {
    /// It is sent on after a while.
    Delay(Duration),
    /// It is not sent on, and its connection is closed without an answer.
    Refuse,
    /// It is sent on and has its effect, but its connection is closed without the answer.
    LoseReply,
    /// It is not sent on and never answered.
    Hang,
    /// It is not sent on, and answered with this.
    Reply {
        /// The status.
        status: StatusCode,
        /// The header `Content-Type`.
        content_type: String,
        /// The body.
        body: Bytes,
    },
    /// It is sent on twice, one after the other, and answered with the second answer.
    Twice,
    /// It is sent on with another body.
    Alter(Arc<dyn Fn(&Bytes) -> Bytes + Send + Sync>),
}

impl Fault {
    /// Answers with a status and a plain text.
    ///
    /// # Panics
    ///
    /// When `status` is none.
    pub fn reply(status: u16, text: &str) -> Self {
        Self::Reply {
            status: StatusCode::from_u16(status).expect("a status has three digits"),
            content_type: "text/plain".to_owned(),
            body: Bytes::copy_from_slice(text.as_bytes()),
        }
    }

    /// Answers as Twirp does with an error.
    ///
    /// # Panics
    ///
    /// When `status` is none.
    pub fn twirp(status: u16, code: &str, message: &str) -> Self {
        Self::Reply {
            status: StatusCode::from_u16(status).expect("a status has three digits"),
            content_type: "application/json".to_owned(),
            body: serde_json::json!({"code": code, "msg": message}).to_string().into(),
        }
    }

    /// Sends it on with the body that `alter` makes of its own.
    pub fn alter(alter: impl Fn(&Bytes) -> Bytes + Send + Sync + 'static) -> Self {
        Self::Alter(Arc::new(alter))
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delay(delay) => write!(f, "Delay({delay:?})"),
            Self::Refuse => f.write_str("Refuse"),
            Self::LoseReply => f.write_str("LoseReply"),
            Self::Hang => f.write_str("Hang"),
            Self::Reply { status, body, .. } => write!(f, "Reply({status}, {body:?})"),
            Self::Twice => f.write_str("Twice"),
            Self::Alter(_) => f.write_str("Alter"),
        }
    }
}

/// Which requests suffer a fault, and how many of them.
pub(super) struct Rule {
    pub(super) when: Box<dyn Fn(&Call) -> bool + Send>,
    /// `None` for all that come.
    pub(super) times: Option<usize>,
    pub(super) fault: Fault,
}

impl Rule {
    /// The fault, if this call shall suffer it; then it counts.
    pub(super) fn apply(&mut self, call: &Call) -> Option<Fault> {
        if self.times == Some(0) || !(self.when)(call) {
            return None;
        }
        self.times = self.times.map(|times| times - 1);
        Some(self.fault.clone())
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule").field("times", &self.times).field("fault", &self.fault).finish_non_exhaustive()
    }
}
