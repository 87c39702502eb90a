//! API keys out of a Secret, in the shapes in which people keep them.

use std::{collections::BTreeMap, fmt};

use k8s_openapi::ByteString;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};

use crate::{
    api::{self, Reason},
    livekit::{Address, Credentials},
};

/// The names that LiveKit's own tools read from the environment (livekit-server-sdk, `lk`).
const API_KEY: &str = "LIVEKIT_API_KEY";
const API_SECRET: &str = "LIVEKIT_API_SECRET";
const URL: &str = "LIVEKIT_URL";

/// The keys of a server, the one that signs our calls first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Keys(pub Vec<Credentials>);

/// Takes the keys out of a Secret.
///
/// # Errors
/// Reason and message of the condition; the message holds nothing of what the Secret holds.
pub(super) fn read(
    data: &BTreeMap<String, ByteString>,
    spec: &api::Credentials,
    address: &Address,
) -> Result<Keys, (Reason, String)> {
    let field = |key: &str| -> Result<&str, (Reason, String)> {
        let bytes = data.get(key).ok_or_else(|| (Reason::SecretNotFound, format!("has no key {key}")))?;
        // A line break at the end comes with `--from-file`, and LiveKit's keys have none.
        let text = std::str::from_utf8(&bytes.0).map(str::trim);
        let text = text.map_err(|_| (Reason::SecretInvalid, format!("holds under {key} what is not UTF-8")))?;
        if text.is_empty() { Err((Reason::SecretInvalid, format!("holds nothing under {key}"))) } else { Ok(text) }
    };
    let keys = match &spec.keys_file_key {
        None => {
            let key = field(spec.api_key_key.as_deref().unwrap_or(API_KEY))?;
            let secret = field(spec.api_secret_key.as_deref().unwrap_or(API_SECRET))?;
            vec![Credentials::new(key, secret)]
        }
        Some(file) => {
            let mut keys = lines(field(file)?).ok_or_else(|| {
                let message = format!("holds under {file} something else than lines \"apiKey: secret\" in YAML");
                (Reason::SecretInvalid, message)
            })?;
            if let Some(wanted) = &spec.api_key {
                let place = keys.iter().position(|one| one.api_key == *wanted).ok_or_else(|| {
                    (Reason::SecretInvalid, format!("has no line for the API key {wanted} under {file}"))
                })?;
                keys[..=place].rotate_right(1);
            }
            keys
        }
    };
    if data.contains_key(URL) {
        let host = field(URL)?
            .parse::<Address>()
            .map_err(|error| (Reason::SecretInvalid, format!("has a {URL} that {error}")))?;
        if host.host() != address.host() {
            // Whoever may edit the LiveKitServer alone must not be able to send the keys elsewhere.
            let message = format!("is for another host, by its {URL}, than spec.url: make them the same");
            return Err((Reason::SecretInvalid, message));
        }
    }
    Ok(Keys(keys))
}

/// Reads lines `apiKey: secret`, in their order.
fn lines(text: &str) -> Option<Vec<Credentials>> {
    struct Lines(Vec<(String, String)>);

    impl<'de> Deserialize<'de> for Lines {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct InOrder;

            impl<'de> Visitor<'de> for InOrder {
                type Value = Lines;

                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("lines apiKey: secret")
                }

                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Lines, A::Error> {
                    let mut lines = Vec::new();
                    while let Some(line) = map.next_entry()? {
                        lines.push(line);
                    }
                    Ok(Lines(lines))
                }
            }

            deserializer.deserialize_map(InOrder)
        }
    }

    // The error quotes the text, so it goes no further.
    let Lines(lines) = serde_saphyr::from_str(text).ok()?;
    let complete = !lines.is_empty() && lines.iter().all(|(key, secret)| !key.is_empty() && !secret.is_empty());
    complete.then(|| lines.into_iter().map(|(key, secret)| Credentials::new(key, secret)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(entries: &[(&str, &str)]) -> BTreeMap<String, ByteString> {
        entries.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec()))).collect()
    }

    fn spec(file: Option<&str>, api_key: Option<&str>) -> api::Credentials {
        api::Credentials {
            secret_ref: api::SecretRef { name: "keys".into() },
            api_key_key: None,
            api_secret_key: None,
            keys_file_key: file.map(Into::into),
            api_key: api_key.map(Into::into),
        }
    }

    fn read_with(entries: &[(&str, &str)], spec: &api::Credentials) -> Result<Keys, (Reason, String)> {
        read(&secret(entries), spec, &"wss://livekit.example.com".parse().unwrap())
    }

    #[test]
    fn two_keys_and_their_own_names() {
        let plain = read_with(&[(API_KEY, "devkey\n"), (API_SECRET, "hush")], &spec(None, None));
        assert_eq!(plain, Ok(Keys(vec![Credentials::new("devkey", "hush")])));
        let own =
            api::Credentials { api_key_key: Some("k".into()), api_secret_key: Some("s".into()), ..spec(None, None) };
        assert_eq!(read_with(&[("k", "a"), ("s", "b")], &own), Ok(Keys(vec![Credentials::new("a", "b")])));
    }

    #[test]
    fn a_keys_file_keeps_its_order_and_the_chosen_key_comes_first() {
        let file = [("keys.yaml", "one: 1111\ntwo: \"22\"\nthree: t3\n")];
        let all = |keys: [(&str, &str); 3]| Ok(Keys(keys.map(|(key, secret)| Credentials::new(key, secret)).into()));
        assert_eq!(
            read_with(&file, &spec(Some("keys.yaml"), None)),
            all([("one", "1111"), ("two", "22"), ("three", "t3")])
        );
        assert_eq!(
            read_with(&file, &spec(Some("keys.yaml"), Some("three"))),
            all([("three", "t3"), ("one", "1111"), ("two", "22")])
        );
    }

    #[test]
    fn what_is_wrong_is_said_without_what_is_secret() {
        let file = spec(Some("keys.yaml"), Some("absent"));
        for (entries, spec, reason, words) in [
            (&[(API_KEY, "devkey")][..], spec(None, None), Reason::SecretNotFound, "no key LIVEKIT_API_SECRET"),
            (&[(API_KEY, " "), (API_SECRET, "hush")], spec(None, None), Reason::SecretInvalid, "nothing under"),
            (&[("keys.yaml", "hush")], spec(Some("keys.yaml"), None), Reason::SecretInvalid, "something else"),
            (&[("keys.yaml", "a: [hush]")], spec(Some("keys.yaml"), None), Reason::SecretInvalid, "something else"),
            (&[("keys.yaml", "a: hush\na: hush2")], spec(Some("keys.yaml"), None), Reason::SecretInvalid, "something"),
            (&[("keys.yaml", "a: hush")], file, Reason::SecretInvalid, "no line for the API key absent"),
            (
                &[(API_KEY, "a"), (API_SECRET, "hush"), (URL, "wss://evil.example.com")],
                spec(None, None),
                Reason::SecretInvalid,
                "another host",
            ),
        ] {
            let (got, message) = read_with(entries, &spec).unwrap_err();
            assert_eq!(got, reason, "{message}");
            assert!(message.contains(words), "{message}");
            assert!(!message.contains("hush") && !message.contains("evil"), "{message}");
        }
    }

    #[test]
    fn a_url_of_the_same_host_is_fine() {
        let entries = [(API_KEY, "a"), (API_SECRET, "b"), (URL, "https://LiveKit.example.com:7880/x")];
        assert!(read_with(&entries, &spec(None, None)).is_ok());
    }
}
