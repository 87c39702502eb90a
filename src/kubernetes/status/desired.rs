//! What the status of an object is to be: pure.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    Status,
    conditions::{Ready, conditions},
};
use crate::{
    api::{Feature, LiveKitServerStatus, Mode, PolicyStatus, Reason, Sample, Summary},
    engine::{Health, PolicyReport, ServerReport},
    kubernetes::{
        index::{Entry, Head, Request, ServerMeaning, Standing, Subject, Verdict},
        kind::{Kind, ObjectId},
    },
};

/// Samples in a status.
const SAMPLES: usize = 20;
/// Characters of a value in a sample.
const SAMPLE_VALUE: usize = 64;

/// What the status of an object is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// The status.
    pub status: Status,
    /// The reason of its condition Ready.
    pub reason: Reason,
}

/// What the status of an object is to be, by the report on its server. `acting` counts the objects that may act, where
/// it is a server.
#[must_use]
pub fn desired(
    id: &ObjectId,
    standing: &Standing<'_>,
    report: Option<&ServerReport>,
    acting: u32,
    now: Timestamp,
) -> Desired {
    match standing {
        Standing::Server(entry) => of_server(entry, report, acting, now),
        Standing::Subject(entry) => of_subject(id.kind, entry, report, now),
    }
}

fn of_server(
    entry: &Entry<ServerMeaning, LiveKitServerStatus>,
    report: Option<&ServerReport>,
    acting: u32,
    now: Timestamp,
) -> Desired {
    let before = &entry.status;
    let ready = ready(&entry.verdict, report, |report| match report.rooms {
        0 => (Reason::NoActiveRooms, "The server answers; no room in session is governed.".to_owned()),
        _ => (Reason::Enforced, "The server answers.".to_owned()),
    });
    let reason = ready.reason;
    let status = LiveKitServerStatus {
        observed_generation: entry.head.generation,
        conditions: conditions(&ready, None, entry.head.generation, &before.conditions, now),
        features: report.map(|report| report.features.clone()).or_else(|| before.features.clone()),
        // A server that is not worked on has no numbers; one whose report is still to come keeps those it had.
        rooms: report.map(|report| report.rooms).or(if reason == Reason::Progressing { before.rooms } else { None }),
        participants: report.map(|report| report.participants).or(if reason == Reason::Progressing {
            before.participants
        } else {
            None
        }),
        policies: Some(acting),
        last_handled_reconcile_at: handled(&entry.head, &entry.request, report)
            .or_else(|| before.last_handled_reconcile_at.clone()),
    };
    Desired { status: Status::Server(status), reason }
}

fn of_subject(
    kind: Kind,
    entry: &Entry<Subject, PolicyStatus>,
    report: Option<&ServerReport>,
    now: Timestamp,
) -> Desired {
    let before = &entry.status;
    let mine = entry.meaning.as_ref().and_then(|meaning| of_policy(meaning, report?));
    let mode = entry.meaning.as_ref().map_or(Mode::Enforce, |meaning| meaning.mode);
    let ready = ready(&entry.verdict, report, |report| match kind {
        Kind::Forward => not_yet(kind, report.features.forward),
        Kind::Move => not_yet(kind, report.features.move_),
        Kind::Policy | Kind::Server => enforcement(mode, mine),
    });
    let reason = ready.reason;
    let overridden_by = mine.and_then(|mine| mine.overridden_by.as_ref());
    let (summary, samples) = match mine {
        Some(mine) => (Some(summary(mode, mine)), samples(&mine.samples)),
        // What was counted is no more known to be wrong than to be right until the first report comes.
        None if reason == Reason::Progressing => (before.summary.clone(), before.samples.clone()),
        None => (None, Vec::new()),
    };
    let status = PolicyStatus {
        observed_generation: entry.head.generation,
        conditions: conditions(&ready, overridden_by, entry.head.generation, &before.conditions, now),
        summary,
        samples,
        last_handled_reconcile_at: handled(&entry.head, &entry.request, report)
            .or_else(|| before.last_handled_reconcile_at.clone()),
    };
    Desired { status: Status::Subject(status), reason }
}

/// The report on exactly this version of a policy.
fn of_policy<'a>(meaning: &Subject, report: &'a ServerReport) -> Option<&'a PolicyReport> {
    let policy = meaning.policy.as_ref()?;
    report.policies.get(&policy.name).filter(|report| Arc::ptr_eq(&report.policy, policy))
}

/// What Ready says: the operator's own verdict, else the server's health, else `otherwise`.
fn ready(
    verdict: &Verdict,
    report: Option<&ServerReport>,
    otherwise: impl FnOnce(&ServerReport) -> (Reason, String),
) -> Ready {
    let notes = match verdict {
        Verdict::Held(hold) => {
            return Ready { reason: hold.reason, message: hold.message.clone(), elsewhere: hold.elsewhere };
        }
        Verdict::Acts { notes } => notes,
    };
    let first_look = || (Reason::Progressing, "The first look at the server's rooms is not complete.".to_owned());
    let (reason, mut message) = match report {
        None => first_look(),
        Some(report) => match &report.health {
            Health::Unknown => first_look(),
            Health::Unreachable(why) => (Reason::ServerUnreachable, format!("The LiveKit server: {why}.")),
            Health::Unauthorized(why) => (Reason::Unauthorized, format!("The LiveKit server: {why}.")),
            Health::RateLimited(why) => (Reason::RateLimited, format!("The LiveKit server: {why}.")),
            Health::Good => otherwise(report),
        },
    };
    for note in notes {
        message.push(' ');
        message.push_str(note);
    }
    Ready { reason, message, elsewhere: false }
}

/// Forwards and moves are checked and not acted on in this version: they wait, and say so.
fn not_yet(kind: Kind, feature: Feature) -> (Reason, String) {
    match feature {
        Feature::Unsupported => {
            let what = if kind == Kind::Forward { "forward" } else { "move" };
            let message = format!("The LiveKit server cannot {what} participants, which LiveKit Cloud alone can.");
            (Reason::UnsupportedByServer, message)
        }
        Feature::Supported | Feature::Unknown => {
            let message =
                format!("The {kind} is valid and permitted, but this version of Usher does not act on it yet.");
            (Reason::Progressing, message)
        }
    }
}

fn enforcement(mode: Mode, report: Option<&PolicyReport>) -> (Reason, String) {
    let Some(report) = report.filter(|report| report.settled) else {
        let message = "The first look at every room after the start or the last change is not complete.";
        return (Reason::Progressing, message.to_owned());
    };
    let said = |reason: Reason, message: &str| (reason, message.to_owned());
    if report.remote_unmute_disabled {
        let message = "The LiveKit server does not allow remote unmute: set room.enable_remote_unmute in its \
                       configuration, or remove muted: false.";
        return said(Reason::RemoteUnmuteDisabled, message);
    }
    match (&report.failure, mode, report.rooms) {
        (Some(failure), ..) => (Reason::EnforcementFailed, failure.clone()),
        (None, Mode::Audit, _) => said(Reason::Audited, "Mode Audit: what would be done is counted, nothing is done."),
        (None, Mode::Enforce, 0) => said(Reason::NoActiveRooms, "No room in session is governed."),
        (None, Mode::Enforce, _) => said(Reason::Enforced, "Enforced in every room in session that is governed."),
    }
}

fn summary(mode: Mode, report: &PolicyReport) -> Summary {
    Summary {
        rooms: report.rooms,
        participants: report.participants,
        compliant: report.compliant,
        noncompliant: report.participants.saturating_sub(report.compliant),
        pending: report.pending,
        failed: report.failed,
        violations: (mode == Mode::Audit).then_some(report.violations),
    }
}

fn samples(samples: &[Sample]) -> Vec<Sample> {
    let cut = |text: &Option<String>| text.as_ref().map(|text| text.chars().take(SAMPLE_VALUE).collect());
    let mut samples: Vec<Sample> = (samples.iter())
        .map(|sample| Sample { wanted: cut(&sample.wanted), seen: cut(&sample.seen), ..sample.clone() })
        .collect();
    samples.sort();
    samples.truncate(SAMPLES);
    samples
}

/// The value of the annotation that asks for a resync, once that is done.
fn handled(head: &Head, request: &Request, report: Option<&ServerReport>) -> Option<String> {
    let done = match request {
        Request::None => false,
        Request::Moot => true,
        Request::Awaited(number) => report.is_some_and(|report| report.resync_done >= *number),
    };
    head.requested.as_deref().filter(|_| done).map(Into::into)
}
