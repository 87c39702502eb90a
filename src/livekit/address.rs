//! Where a LiveKit server is.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::uri::InvalidUri;
use thiserror::Error;
use url::Url;

/// The address of a LiveKit server: scheme http or https, host, port and perhaps a path prefix.
///
/// LiveKit's own tools write `ws://` and `wss://`, because clients connect by WebSocket; the same host and port answer
/// the API calls, so these are read as `http://` and `https://`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// Normalised: http or https, no query or fragment, the path ends with a slash.
    base: Url,
}

/// Why a text is not the address of a server. Never quotes the text, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Not a URL at all, or a relative one.
    #[error("is not a URL: write scheme, host and port, as in wss://livekit.example.com")]
    NotAUrl,
    /// Another scheme, or a host and port without a scheme.
    #[error("must begin with https://, wss://, http:// or ws://")]
    Scheme,
    /// A user name or a password before the host.
    #[error("must not hold a user name or password: the API key and secret belong to the credentials")]
    UserInfo,
    /// A query.
    #[error("must not have a query (from the question mark on)")]
    Query,
    /// A fragment.
    #[error("must not have a fragment (from the number sign on)")]
    Fragment,
}

impl Address {
    /// Whether the connection is encrypted.
    pub fn is_tls(&self) -> bool {
        self.base.scheme() == "https"
    }

    /// The host, lower-cased; an IPv6 address stands in brackets.
    pub fn host(&self) -> &str {
        self.base.host_str().unwrap_or_default()
    }

    /// The port, also where the address leaves it to the scheme.
    pub fn port(&self) -> u16 {
        self.base.port_or_known_default().unwrap_or_default()
    }

    /// A path below this address, for a request.
    ///
    /// # Errors
    /// Not every URL fits into a request: it may be too long.
    pub(super) fn join(&self, path: &str) -> Result<Uri, InvalidUri> {
        format!("{}{path}", self.base).parse()
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let mut base = match Url::parse(text.trim()) {
            Ok(base) => base,
            // `https://` without a host is a URL that does not parse, `//host` a relative one.
            Err(_) => return Err(AddressError::NotAUrl),
        };
        let scheme = match base.scheme() {
            "http" | "ws" => "http",
            "https" | "wss" => "https",
            // Also `livekit.example.com:7880`, whose host the URL standard takes for a scheme.
            _ => return Err(AddressError::Scheme),
        };
        if !base.username().is_empty() || base.password().is_some() {
            return Err(AddressError::UserInfo);
        }
        if base.query().is_some() {
            return Err(AddressError::Query);
        }
        if base.fragment().is_some() {
            return Err(AddressError::Fragment);
        }
        base.set_scheme(scheme).map_err(|()| AddressError::Scheme)?;
        let path = format!("{}/", base.path().trim_end_matches('/'));
        base.set_path(&path);
        Ok(Self { base })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_livekit_tools_write() {
        for (text, shown, host, port) in [
            ("http://livekit:7880", "http://livekit:7880", "livekit", 7880),
            ("ws://livekit:7880/", "http://livekit:7880", "livekit", 7880),
            ("ws://livekit", "http://livekit", "livekit", 80),
            ("wss://Live.Example.com", "https://live.example.com", "live.example.com", 443),
            ("https://example.com:8443/video/", "https://example.com:8443/video", "example.com", 8443),
            ("https://example.com/a/b//", "https://example.com/a/b", "example.com", 443),
            ("https://[::1]:7880", "https://[::1]:7880", "[::1]", 7880),
            (" wss://example.com\n", "https://example.com", "example.com", 443),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), shown, "{text}");
            assert_eq!((address.host(), address.port()), (host, port), "{text}");
            assert_eq!(address.is_tls(), shown.starts_with("https"), "{text}");
        }
    }

    #[test]
    fn refuses_what_would_be_misread() {
        for (text, why) in [
            ("", AddressError::NotAUrl),
            ("/twirp", AddressError::NotAUrl),
            ("//livekit:7880", AddressError::NotAUrl),
            ("https://", AddressError::NotAUrl),
            ("https://a b", AddressError::NotAUrl),
            ("https://example.com:99999", AddressError::NotAUrl),
            ("livekit.example.com:7880", AddressError::Scheme),
            ("ftp://example.com", AddressError::Scheme),
            ("file:///etc/passwd", AddressError::Scheme),
            ("https://key:secret@example.com", AddressError::UserInfo),
            ("https://key@example.com", AddressError::UserInfo),
            ("https://:secret@example.com", AddressError::UserInfo),
            ("https://example.com/?token=1", AddressError::Query),
            ("https://example.com?", AddressError::Query),
            ("https://example.com/#a", AddressError::Fragment),
        ] {
            assert_eq!(text.parse::<Address>(), Err(why), "{text}");
        }
    }

    #[test]
    fn path_prefix_stays_in_front_of_the_call() {
        for (text, url) in [
            ("http://h", "http://h/twirp/x"),
            ("http://h/", "http://h/twirp/x"),
            ("http://h/p", "http://h/p/twirp/x"),
            ("http://h/p/q/", "http://h/p/q/twirp/x"),
            ("http://h/a%20b", "http://h/a%20b/twirp/x"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().join("twirp/x").unwrap(), url);
        }
    }
}
