use std::{borrow::Cow, fmt, str::FromStr};

use jiff::{civil, tz::Offset};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// What the API server accepts as a moment. Together with `format: date-time`, which knows the calendar, this is
/// what Go's RFC 3339 parser takes; by itself that format would let through what CEL then cannot compare.
const PATTERN: &str =
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$";

/// A moment in RFC 3339 with a zone: `2026-12-31T00:00:00Z`, `2026-12-31T01:00:00+01:00`.
///
/// The text is kept, so that an object read and written back does not differ: `metav1.Time` would turn every zone
/// into UTC and drop fractions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp {
    text: String,
    instant: jiff::Timestamp,
}

impl Timestamp {
    /// The moment. Whoever writes the last days of the year 9999 means "never", so what lies beyond the range of
    /// [`jiff::Timestamp`] (which ends 26 hours earlier) counts as its end rather than as an error.
    #[must_use]
    pub fn instant(&self) -> jiff::Timestamp {
        self.instant
    }
}

/// The text is no moment.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a moment: write RFC 3339 with a zone, like 2026-12-31T00:00:00Z")]
pub struct NotATimestamp(String);

impl FromStr for Timestamp {
    type Err = NotATimestamp;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let instant = parse(text).ok_or_else(|| NotATimestamp(text.chars().take(64).collect()))?;
        Ok(Self { text: text.to_owned(), instant })
    }
}

/// Reads what [`PATTERN`] describes and nothing else.
fn parse(text: &str) -> Option<jiff::Timestamp> {
    let (local, offset) = match text.strip_suffix('Z') {
        Some(local) => (local, Offset::UTC),
        None => {
            let (local, zone) = text.split_at_checked(text.len().checked_sub(6)?)?;
            (local, offset(zone)?)
        }
    };
    let (whole, fraction) = local.split_once('.').map_or((local, None), |(whole, fraction)| (whole, Some(fraction)));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !fits(whole, "0000-00-00T00:00:00") || !fraction.is_none_or(|it| (1..=9).contains(&it.len()) && digits(it)) {
        return None;
    }
    // jiff reads a leap second as the second before it; the API server refuses it.
    if whole.ends_with("60") {
        return None;
    }
    let civil: civil::DateTime = local.parse().ok()?;
    let beyond = if civil.year() > 0 { jiff::Timestamp::MAX } else { jiff::Timestamp::MIN };
    Some(offset.to_timestamp(civil).unwrap_or(beyond))
}

/// Reads `+01:00`.
fn offset(zone: &str) -> Option<Offset> {
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let clock = zone.get(1..)?;
    let (hours, minutes) = clock.split_once(':').filter(|_| fits(clock, "00:00"))?;
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60).then(|| Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok())?
}

/// Whether the text has the shape of the sample, where `0` stands for any digit.
fn fits(text: &str, sample: &str) -> bool {
    text.len() == sample.len()
        && text
            .bytes()
            .zip(sample.bytes())
            .all(|(is, like)| if like == b'0' { is.is_ascii_digit() } else { is == like })
}

impl TryFrom<String> for Timestamp {
    type Error = NotATimestamp;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Timestamp> for String {
    fn from(timestamp: Timestamp) -> Self {
        timestamp.text
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl JsonSchema for Timestamp {
    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time", "pattern": PATTERN, "maxLength": 35 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(text: &str) -> Option<jiff::Timestamp> {
        text.parse::<Timestamp>().ok().map(|timestamp| timestamp.instant())
    }

    #[test]
    fn reads_zones_and_fractions() {
        const MIDNIGHT: i64 = 1_798_675_200;
        for text in ["2026-12-31T00:00:00Z", "2026-12-31T01:00:00+01:00", "2026-12-30T18:30:00-05:30"] {
            assert_eq!(instant(text).map(|it| it.as_second()), Some(MIDNIGHT), "{text}");
        }
        let after = instant("2026-12-31T00:00:00.000000001Z").map(|it| it.as_nanosecond());
        assert_eq!(after, Some(i128::from(MIDNIGHT) * 1_000_000_000 + 1));
    }

    #[test]
    fn the_end_of_time_is_no_error() {
        assert_eq!(instant("9999-12-31T23:59:59Z"), Some(jiff::Timestamp::MAX));
        assert!(instant("0000-01-01T00:00:00+23:59").is_some());
    }

    #[test]
    fn refuses_what_the_schema_refuses() {
        for text in [
            "",
            "Z",
            "2026-12-31",
            "2026-12-31T00:00:00",
            "2026-12-31 00:00:00Z",
            "2026-12-31T00:00Z",
            "2026-12-31T00:00:00z",
            "2026-12-31t00:00:00Z",
            "20261231T000000Z",
            "2026-12-31T00:00:00.Z",
            "2026-12-31T00:00:00.0000000001Z",
            "2026-12-31T00:00:00+0100",
            "2026-12-31T00:00:00+24:00",
            "2026-12-31T00:00:00+01:60",
            "2026-02-30T00:00:00Z",
            "2026-12-31T24:00:00Z",
            "2026-12-31T00:00:60Z",
            "2026-12-31T00:00:00[UTC]",
            "2026-12-31T00:00:00Ä+1:00",
            "-026-12-31T00:00:00Z",
        ] {
            assert_eq!(instant(text), None, "{text}");
        }
    }
}
