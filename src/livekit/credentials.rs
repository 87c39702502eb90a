//! API keys and their secrets.

use std::fmt;

/// An API key of a LiveKit server and its secret (`keys` in LiveKit's configuration).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The key: the `iss` of a token. Not a secret.
    pub api_key: String,
    /// What tokens are signed with.
    pub secret: Secret,
}

impl Credentials {
    /// Credentials of a key and its secret.
    pub fn new(api_key: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { api_key: api_key.into(), secret: Secret(secret.into()) }
    }
}

/// A text that does not appear in logs: it has no `Display`, and its `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself, to sign or verify with.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_secret() {
        let shown = format!("{:?}", Credentials::new("devkey", "hunter2"));
        assert!(shown.contains("devkey") && !shown.contains("hunter2"), "{shown}");
    }
}
