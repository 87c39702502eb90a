use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// What the API server accepts as a duration. No unit above hours: a day is not always 24 of them.
const PATTERN: &str = "^([0-9]{1,5}(h|m|s|ms)){1,4}$";

/// A span of time as Kubernetes writes it: `90s`, `1h30m`, `250ms`. At most four numbers of at most five digits.
///
/// The text is kept, so that an object read and written back does not differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Duration {
    text: String,
    span: std::time::Duration,
}

impl Duration {
    /// The span of time.
    #[must_use]
    pub fn span(&self) -> std::time::Duration {
        self.span
    }

    /// So many whole seconds.
    #[must_use]
    pub fn from_secs(seconds: u16) -> Self {
        Self { text: format!("{seconds}s"), span: std::time::Duration::from_secs(seconds.into()) }
    }
}

/// The text is no duration.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a duration: write one to four numbers with unit, like 30s, 1h30m or 250ms")]
pub struct NotADuration(String);

impl FromStr for Duration {
    type Err = NotADuration;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || NotADuration(text.chars().take(64).collect());
        let (mut rest, mut span, mut terms) = (text, std::time::Duration::ZERO, 0);
        while !rest.is_empty() && terms < 4 {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if !(1..=5).contains(&digits) {
                return Err(refused());
            }
            let number: u64 = rest[..digits].parse().map_err(|_| refused())?;
            let unit = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
            let milliseconds = match &rest[digits..digits + unit] {
                "h" => 3_600_000,
                "m" => 60_000,
                "s" => 1_000,
                "ms" => 1,
                _ => return Err(refused()),
            };
            span += std::time::Duration::from_millis(number * milliseconds);
            rest = &rest[digits + unit..];
            terms += 1;
        }
        if terms == 0 || !rest.is_empty() {
            return Err(refused());
        }
        Ok(Self { text: text.to_owned(), span })
    }
}

impl TryFrom<String> for Duration {
    type Error = NotADuration;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Duration> for String {
    fn from(duration: Duration) -> Self {
        duration.text
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": PATTERN, "maxLength": 28 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(text: &str) -> Option<u128> {
        text.parse::<Duration>().ok().map(|duration| duration.span().as_millis())
    }

    #[test]
    fn reads_what_kubernetes_writes() {
        assert_eq!(milliseconds("30s"), Some(30_000));
        assert_eq!(milliseconds("1h30m"), Some(5_400_000));
        assert_eq!(milliseconds("1m5s250ms"), Some(65_250));
        assert_eq!(milliseconds("99999h99999h99999h99999h"), Some(4 * 99_999 * 3_600_000));
        assert_eq!("1h30m".parse::<Duration>().map(|duration| duration.to_string()), Ok("1h30m".to_owned()));
    }

    #[test]
    fn refuses_what_the_schema_refuses() {
        for text in ["", "5", "s", "1.5s", "-5s", "5 s", "5S", "5d", "5us", "100000s", "1s1s1s1s1s", "1s ", "٣s"] {
            assert_eq!(milliseconds(text), None, "{text}");
        }
    }
}
