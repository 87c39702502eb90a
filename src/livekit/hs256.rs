//! HS256, with which LiveKit signs its tokens and wants ours signed (RFC 7518, 3.2).

use std::fmt;

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::credentials::Secret;

/// A secret, made ready to sign and to verify with.
#[derive(Clone)]
pub(crate) struct Key(hmac::Key);

impl Key {
    pub(crate) fn new(secret: &Secret) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes()))
    }

    /// Makes a token of its first two parts.
    pub(super) fn sign(&self, token: &mut String) {
        let signature = hmac::sign(&self.0, token.as_bytes());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, token);
    }

    /// Whether the last part of a token is the signature of those before it. Compares in a time that does not depend on
    /// where it differs.
    pub(crate) fn verifies(&self, message: &str, signature: &str) -> bool {
        // One byte more than fits, so that what is too long is not taken for what it begins with.
        let mut tag = [0; 33];
        URL_SAFE_NO_PAD
            .decode_slice(signature, &mut tag)
            .is_ok_and(|length| hmac::verify(&self.0, message.as_bytes(), &tag[..length]).is_ok())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::livekit::Credentials;

    #[test]
    fn what_is_signed_is_verified_and_nothing_else() {
        let key = |secret: &str| Key::new(&Credentials::new("key", secret).secret);
        let mut token = "header.claims".to_owned();
        key("secret").sign(&mut token);
        let (message, signature) = token.rsplit_once('.').unwrap();
        assert!(key("secret").verifies(message, signature));
        assert!(!key("another").verifies(message, signature));
        assert!(!key("secret").verifies("header.claimS", signature));
        for wrong in ["", "*", &signature[..42], &format!("{signature}AA"), &format!("{signature}="), &"A".repeat(4000)]
        {
            assert!(!key("secret").verifies(message, wrong), "{wrong}");
        }
    }
}
