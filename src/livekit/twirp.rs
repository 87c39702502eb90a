//! Twirp's error bodies: `{"code": …, "msg": …}` (twirp wire protocol v7, errors.go of twitchtv/twirp).

use std::fmt;

use serde::Deserialize;

/// Longest message kept, in characters: it goes into conditions, where space is short.
const LONGEST_MESSAGE: usize = 256;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// The codes of Twirp.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum TwirpCode {
            $($(#[$doc])* $variant,)*
        }

        impl TwirpCode {
            /// The code on the wire, and in metrics.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }

            /// The code of this text. Only these: a gateway's `{"code": "…"}` is not Twirp's.
            fn parse(text: &str) -> Option<Self> {
                match text {
                    $($text => Some(Self::$variant),)*
                    // How the specification spells it; the Go library writes data_loss.
                    "dataloss" => Some(Self::DataLoss),
                    _ => None,
                }
            }
        }
    };
}

codes! {
    /// The caller went away.
    Canceled = "canceled",
    /// What LiveKit says where it does not say more.
    Unknown = "unknown",
    /// The request breaks a rule.
    InvalidArgument = "invalid_argument",
    /// The request could not be read.
    Malformed = "malformed",
    /// Out of time, by `X-Twirp-Timeout-Ms` for instance.
    DeadlineExceeded = "deadline_exceeded",
    /// The participant or room is not there.
    NotFound = "not_found",
    /// No such method.
    BadRoute = "bad_route",
    /// It is there already.
    AlreadyExists = "already_exists",
    /// The token is good and does not allow this.
    PermissionDenied = "permission_denied",
    /// The token is missing, bad, or lacks the grant.
    Unauthenticated = "unauthenticated",
    /// A quota is used up.
    ResourceExhausted = "resource_exhausted",
    /// Not in the present state, or not with these settings of the server.
    FailedPrecondition = "failed_precondition",
    /// Lost a race.
    Aborted = "aborted",
    /// Beyond the range.
    OutOfRange = "out_of_range",
    /// The method is known and does nothing.
    Unimplemented = "unimplemented",
    /// A defect of the server.
    Internal = "internal",
    /// No server for this participant answers now.
    Unavailable = "unavailable",
    /// Data was lost.
    DataLoss = "data_loss",
}

impl fmt::Display for TwirpCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Deserialize)]
struct Body {
    code: String,
    #[serde(default)]
    msg: String,
}

/// The code and the message, fit for showing, of a body that is Twirp's; of any other body nothing.
pub(super) fn parse(body: &[u8]) -> Option<(TwirpCode, String)> {
    let body: Body = serde_json::from_slice(body).ok()?;
    Some((TwirpCode::parse(&body.code)?, presentable(&body.msg)))
}

/// Makes a message of the server fit for logs and conditions.
fn presentable(msg: &str) -> String {
    // Every token begins with the encoding of `{"`. LiveKit 1.13.5 echoes whole tokens in its plain-text 401; should
    // any server do so in a Twirp message, nothing of that message is worth the risk.
    if msg.contains("eyJ") {
        return "(message withheld: it holds a token)".to_owned();
    }
    // psrpc errors are wrapped in a second one on their way through LiveKit (livekit/protocol utils/xtwirp).
    let msg = msg.trim().trim_start_matches("twirp error unknown: ");
    let mut shown: String = msg.chars().take(LONGEST_MESSAGE).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if msg.chars().nth(LONGEST_MESSAGE).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_twirp_bodies_are_read() {
        for (body, code) in [
            (r#"{"code":"not_found","msg":"x"}"#, Some(TwirpCode::NotFound)),
            (r#"{"code":"not_found","msg":"x","meta":{"a":"b"}}"#, Some(TwirpCode::NotFound)),
            (r#"{"code":"dataloss"}"#, Some(TwirpCode::DataLoss)),
            (r#"{"code":"rate_limited","msg":"a gateway's own"}"#, None),
            (r#"{"code":404,"msg":"x"}"#, None),
            (r#"{"msg":"x"}"#, None),
            (r#""not_found""#, None),
            ("not_found", None),
            ("<html>", None),
            ("", None),
        ] {
            assert_eq!(parse(body.as_bytes()).map(|(code, _)| code), code, "{body}");
        }
    }

    #[test]
    fn messages_are_bounded_clean_and_without_tokens() {
        let long = "ü".repeat(10_000);
        let cut = format!("{}…", "ü".repeat(256));
        for (msg, shown) in [
            ("twirp error unknown: participant does not exist", "participant does not exist"),
            ("a\nb\u{1b}[31m", "a b [31m"),
            (long.as_str(), cut.as_str()),
            ("invalid token: eyJhbGciOiJIUzI1NiJ9.e30.x", "(message withheld: it holds a token)"),
        ] {
            assert_eq!(presentable(msg), shown);
        }
    }
}
