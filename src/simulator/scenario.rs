//! Scenarios: who comes and what goes wrong, written down.

use std::{collections::BTreeMap, ops::RangeInclusive, str::FromStr, time::Duration as Span};

use livekit_protocol::{ParticipantPermission, TrackSource, participant_info::Kind as WireKind};
use serde::Deserialize;

use super::{Change, Effect, Fault, Habits, Join, Method, Role, Script, WebhookFaults};
use crate::api::{Duration, Kind, PermissionEffect, Source};

/// Who comes and what goes wrong.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scenario {
    /// Who comes; all of these at the same time.
    #[serde(default)]
    pub scripts: Vec<ScriptFile>,
    /// What happens to calls.
    #[serde(default)]
    pub faults: Vec<FaultFile>,
    /// What happens to webhooks.
    #[serde(default)]
    pub webhooks: WebhookFaultsFile,
}

/// A text is no scenario.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// It is not YAML, or has other fields.
    #[error("{0}")]
    Yaml(Box<serde_saphyr::Error>),
    /// It says what cannot be.
    #[error("{0}")]
    Wrong(String),
}

impl FromStr for Scenario {
    type Err = ScenarioError;

    fn from_str(text: &str) -> Result<Self, ScenarioError> {
        let scenario: Self = serde_saphyr::from_str(text).map_err(|error| ScenarioError::Yaml(Box::new(error)))?;
        scenario.check()?;
        Ok(scenario)
    }
}

impl Scenario {
    fn check(&self) -> Result<(), ScenarioError> {
        let wrong = |place: String, what: &str| Err(ScenarioError::Wrong(format!("{place} {what}")));
        let is_chance = |chance: f64| (0.0..=1.0).contains(&chance);
        for (at, script) in self.scripts.iter().enumerate() {
            if script.rooms.is_empty() || script.rooms.iter().any(String::is_empty) {
                return wrong(format!("scripts[{at}].rooms"), "must name at least one room");
            }
            if script.roles.is_empty() {
                return wrong(format!("scripts[{at}].roles"), "must have at least one role");
            }
            if !(0.0..=100_000.0).contains(&script.joins_per_second) {
                return wrong(format!("scripts[{at}].joinsPerSecond"), "must be from 0 to 100000");
            }
        }
        for (at, fault) in self.faults.iter().enumerate() {
            if fault.effect().is_none() {
                return wrong(
                    format!("faults[{at}]"),
                    "needs exactly one of latency, slowAnswer, status, cut, hangs and staleListing",
                );
            }
            if !is_chance(fault.chance) {
                return wrong(format!("faults[{at}].chance"), "must be from 0 to 1");
            }
            if fault.method.as_deref().is_some_and(|method| Method::of_name(method).is_none()) {
                return wrong(format!("faults[{at}].method"), "is no method of the RoomService");
            }
        }
        let WebhookFaultsFile { lost, doubled, late, swapped, .. } = self.webhooks;
        if ![lost, doubled, late, swapped].into_iter().all(is_chance) {
            return wrong("webhooks".to_owned(), "has a chance that is not from 0 to 1");
        }
        Ok(())
    }

    /// What happens to calls.
    pub(super) fn faults(&self) -> impl Iterator<Item = Fault> {
        self.faults.iter().filter_map(|fault| {
            Some(Fault {
                method: fault.method.as_deref().and_then(Method::of_name),
                room: fault.room.clone(),
                chance: fault.chance,
                times: fault.times,
                effect: fault.effect()?,
            })
        })
    }

    /// What happens to webhooks.
    pub(super) fn webhook_faults(&self) -> WebhookFaults {
        self.webhooks.faults()
    }
}

/// From one span to another, as in `10s-1m`, or always the same, as in `10s`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Spans(RangeInclusive<Span>);

impl FromStr for Spans {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (from, to) = text.split_once('-').unwrap_or((text, text));
        let read = |text: &str| text.parse::<Duration>().map(|it| it.span()).map_err(|error| error.to_string());
        let (from, to) = (read(from)?, read(to)?);
        if from > to { Err(format!("{text:?} ends before it begins")) } else { Ok(Self(from..=to)) }
    }
}

impl TryFrom<String> for Spans {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Spans> for RangeInclusive<Span> {
    fn from(spans: Spans) -> Self {
        spans.0
    }
}

/// A [`Script`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields are those of the script")]
pub struct ScriptFile {
    pub rooms: Vec<String>,
    pub participants: usize,
    #[serde(default)]
    pub joins_per_second: f64,
    pub stay: Option<Spans>,
    pub roles: Vec<RoleFile>,
}

/// A [`Role`], its token in the words of our own API.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields are those of the role")]
pub struct RoleFile {
    pub identity: String,
    #[serde(default = "one")]
    pub weight: u32,
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub metadata: String,
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    pub kind: Option<Kind>,
    pub permission: Option<PermissionEffect>,
    #[serde(default)]
    pub publishes: Vec<Source>,
    pub looks: Option<Spans>,
    #[serde(default)]
    pub unmutes: bool,
    #[serde(default)]
    pub changes: BTreeMap<String, String>,
    #[serde(default)]
    pub reconnects: f64,
    #[serde(default)]
    pub comes_back: bool,
}

fn one() -> u32 {
    1
}

impl From<ScriptFile> for Script {
    fn from(file: ScriptFile) -> Self {
        Self {
            rooms: file.rooms,
            participants: file.participants,
            joins_per_second: file.joins_per_second,
            stay: file.stay.map(Into::into),
            roles: file.roles.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<RoleFile> for Role {
    fn from(file: RoleFile) -> Self {
        let mut token = Join::new("", "");
        if let Some(permission) = &file.permission {
            token = token.permission(|seen| permit(seen, permission));
        }
        token.name = file.name;
        token.metadata = file.metadata;
        token.attributes = file.attributes;
        token.kind = file.kind.map_or(WireKind::Standard, wire_kind);
        let changes = (!file.changes.is_empty()).then(|| Change { attributes: file.changes, ..Change::default() });
        let habits =
            Habits { unmutes: file.unmutes, changes, reconnects: file.reconnects, comes_back: file.comes_back };
        let publishes = file.publishes.into_iter().map(wire_source).collect();
        Self {
            weight: file.weight,
            identity: file.identity,
            token,
            publishes,
            looks: file.looks.map(Into::into),
            habits,
        }
    }
}

fn permit(seen: &mut ParticipantPermission, wanted: &PermissionEffect) {
    let set = |bit: &mut bool, wanted: Option<bool>| *bit = wanted.unwrap_or(*bit);
    set(&mut seen.can_subscribe, wanted.can_subscribe);
    set(&mut seen.can_publish, wanted.can_publish);
    set(&mut seen.can_publish_data, wanted.can_publish_data);
    set(&mut seen.can_update_metadata, wanted.can_update_metadata);
    set(&mut seen.can_subscribe_metrics, wanted.can_subscribe_metrics);
    set(&mut seen.can_manage_agent_session, wanted.can_manage_agent_session);
    seen.can_publish_sources = wanted.can_publish_sources.iter().map(|source| wire_source(*source).into()).collect();
}

fn wire_source(source: Source) -> TrackSource {
    match source {
        Source::Camera => TrackSource::Camera,
        Source::Microphone => TrackSource::Microphone,
        Source::ScreenShare => TrackSource::ScreenShare,
        Source::ScreenShareAudio => TrackSource::ScreenShareAudio,
    }
}

fn wire_kind(kind: Kind) -> WireKind {
    match kind {
        Kind::Standard => WireKind::Standard,
        Kind::Ingress => WireKind::Ingress,
        Kind::Egress => WireKind::Egress,
        Kind::Sip => WireKind::Sip,
        Kind::Agent => WireKind::Agent,
        Kind::Connector => WireKind::Connector,
        Kind::Bridge => WireKind::Bridge,
    }
}

/// A [`Fault`] with one of the effects that need no more than a number.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the other fields are those of the fault")]
pub struct FaultFile {
    pub method: Option<String>,
    pub room: Option<String>,
    #[serde(default = "always")]
    pub chance: f64,
    pub times: Option<u32>,
    /// The call is acted upon so much later.
    pub latency: Option<Spans>,
    /// It is acted upon at once and answered so much later.
    pub slow_answer: Option<Spans>,
    /// It is answered with this status and not acted upon.
    pub status: Option<u16>,
    /// With `status`: the header Retry-After, in seconds.
    pub retry_after: Option<u32>,
    /// Its connection is cut.
    #[serde(default)]
    pub cut: bool,
    /// It is never answered.
    #[serde(default)]
    pub hangs: bool,
    /// A listing is answered as it was the first time.
    #[serde(default)]
    pub stale_listing: bool,
}

fn always() -> f64 {
    1.0
}

impl FaultFile {
    fn effect(&self) -> Option<Effect> {
        let effects = [
            self.latency.as_ref().map(|latency| Effect::Latency(latency.0.clone())),
            self.slow_answer.as_ref().map(|slow| Effect::SlowAnswer(slow.0.clone())),
            self.status.map(|status| Effect::Status { status, retry_after: self.retry_after }),
            self.cut.then_some(Effect::Cut { acted_upon: false }),
            self.hangs.then_some(Effect::Hangs),
            self.stale_listing.then_some(Effect::StaleListing),
        ];
        let mut given = effects.into_iter().flatten();
        given.next().filter(|_| given.next().is_none())
    }
}

/// [`WebhookFaults`].
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the fields are those of the faults")]
pub struct WebhookFaultsFile {
    pub lost: f64,
    pub doubled: f64,
    pub late: f64,
    pub delay: Option<Spans>,
    pub swapped: f64,
}

impl WebhookFaultsFile {
    fn faults(&self) -> WebhookFaults {
        let Self { lost, doubled, late, swapped, .. } = *self;
        let delay = self.delay.clone().map_or(Span::from_secs(1)..=Span::from_secs(2), Into::into);
        WebhookFaults { lost, doubled, late, delay, swapped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_one_or_two_durations() {
        let seconds = |from, to| Spans(Span::from_secs(from)..=Span::from_secs(to));
        assert_eq!("10s-1m".parse(), Ok(seconds(10, 60)));
        assert_eq!("5s".parse(), Ok(seconds(5, 5)));
        for wrong in ["", "5", "1m-10s", "1s-2s-3s"] {
            assert!(wrong.parse::<Spans>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (text, words) in [
            ("scripts: [{rooms: [], participants: 1, roles: [{identity: a}]}]", "scripts[0].rooms"),
            ("scripts: [{rooms: [a], participants: 1, roles: []}]", "scripts[0].roles"),
            ("faults: [{status: 503, hangs: true}]", "faults[0]"),
            ("faults: [{status: 503, method: Dance}]", "faults[0].method"),
            ("webhooks: {lost: 2}", "webhooks"),
            ("scrpts: []", "scrpts"),
        ] {
            let error = text.parse::<Scenario>().unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
