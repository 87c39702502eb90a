//! What the status of an object is to be: pure.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;

use super::{
    Status,
    conditions::{Ready, conditions},
};
use crate::{
    api::{Feature, LiveKitServerStatus, Mode, PolicyStatus, Reason, Sample, Summary},
    engine::{Health, PolicyReport, ServerReport, TransferReport},
    kubernetes::{
        index::{Compiled, Entry, Head, Request, ServerMeaning, Standing, Subject, Verdict},
        kind::{Kind, ObjectId},
    },
    policy::Counts,
};

/// Rooms that a status remembers at most, as the schema has it.
const MOST_ROOMS: usize = 256;
/// What an audited object says.
const AUDITED: &str = "Mode Audit: what would be done is counted, nothing is done.";

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
        _ => (Reason::Enforced, format!("The server answers.{}", stretched(report))),
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

/// That resync is slower than declared, and what to do about it.
fn stretched(report: &ServerReport) -> String {
    report.stretched.map_or_else(String::new, |interval| {
        let secs = interval.as_secs();
        format!(
            " For its rooms spec.requests.perSecond is too low: each is listed every {secs} s at the latest and \
             not as often as resyncInterval says."
        )
    })
}

fn of_subject(
    kind: Kind,
    entry: &Entry<Subject, PolicyStatus>,
    report: Option<&ServerReport>,
    now: Timestamp,
) -> Desired {
    let before = &entry.status;
    let mine = entry.meaning.as_ref().and_then(|meaning| Mine::of(meaning, report?));
    let mode = entry.meaning.as_ref().map_or(Mode::Enforce, |meaning| meaning.mode);
    let ready = ready(&entry.verdict, report, |report| match kind {
        Kind::Forward => transport("forward", report.features.forward, mode, mine.as_ref()),
        Kind::Move => transport("move", report.features.move_, mode, mine.as_ref()),
        Kind::Policy | Kind::Server => enforcement(mode, mine.as_ref().and_then(Mine::policy)),
    });
    let reason = ready.reason;
    let overridden_by = mine.as_ref().and_then(Mine::policy).and_then(|mine| mine.overridden_by.as_ref());
    let (summary, samples) = match &mine {
        Some(mine) => mine.counts(mode),
        // What was counted is no more known to be wrong than to be right until the first report comes.
        None if reason == Reason::Progressing => (before.summary.clone(), before.samples.clone()),
        None => (None, Vec::new()),
    };
    let status = PolicyStatus {
        observed_generation: entry.head.generation,
        conditions: conditions(&ready, overridden_by, entry.head.generation, &before.conditions, now),
        summary,
        samples,
        destination_rooms: destination_rooms(entry, report, mine.as_ref()),
        last_handled_reconcile_at: handled(&entry.head, &entry.request, report)
            .or_else(|| before.last_handled_reconcile_at.clone()),
    };
    Desired { status: Status::Subject(status), reason }
}

/// The rooms in which copies of a forward may stand: where it makes them, and where earlier versions of it did.
fn destination_rooms(
    entry: &Entry<Subject, PolicyStatus>,
    report: Option<&ServerReport>,
    mine: Option<&Mine<'_>>,
) -> Vec<String> {
    let Some(meaning) = entry.meaning.as_ref() else { return entry.status.destination_rooms.clone() };
    let Compiled::Forward(forward, _) = &meaning.compiled else { return Vec::new() };
    if report.is_some_and(|report| report.features.forward == Feature::Unsupported) {
        return Vec::new();
    }
    let makes = forward.acts() && (mine.is_some() || matches!(entry.verdict, Verdict::Acts { .. }));
    let mut rooms: BTreeSet<&str> = BTreeSet::new();
    match mine.and_then(Mine::transfer).filter(|_| makes) {
        Some(report) => rooms.extend(report.left.iter().map(|room| &**room)),
        // Nobody has looked for what is there.
        None => rooms.extend(entry.status.destination_rooms.iter().map(String::as_str)),
    }
    if makes {
        rooms.extend(forward.destinations.iter().map(|room| &**room));
    }
    rooms.into_iter().take(MOST_ROOMS).map(Into::into).collect()
}

/// The report on exactly this version of an object.
enum Mine<'a> {
    Policy(&'a PolicyReport),
    Transfer(&'a TransferReport),
}

impl<'a> Mine<'a> {
    fn of(meaning: &Subject, report: &'a ServerReport) -> Option<Self> {
        match &meaning.compiled {
            Compiled::Policy(policy) => {
                let report = report.policies.get(&policy.name)?;
                Arc::ptr_eq(&report.policy, policy).then_some(Self::Policy(report))
            }
            Compiled::Forward(transfer, _) | Compiled::Move(transfer) => {
                let report = report.transfers.get(&transfer.id)?;
                Arc::ptr_eq(&report.transfer, transfer).then_some(Self::Transfer(report))
            }
        }
    }

    fn policy(&self) -> Option<&'a PolicyReport> {
        match self {
            Self::Policy(report) => Some(report),
            Self::Transfer(_) => None,
        }
    }

    fn transfer(&self) -> Option<&'a TransferReport> {
        match self {
            Self::Policy(_) => None,
            Self::Transfer(report) => Some(report),
        }
    }

    fn counts(&self, mode: Mode) -> (Option<Summary>, Vec<Sample>) {
        let (counts, samples) = match self {
            Self::Policy(report) => (report.counts, &report.samples),
            Self::Transfer(report) => (report.counts, &report.samples),
        };
        let Counts { rooms, participants, compliant, pending, failed, violations } = counts;
        let summary = Summary {
            rooms,
            participants,
            compliant,
            noncompliant: participants.saturating_sub(compliant),
            pending,
            failed,
            violations: (mode == Mode::Audit).then_some(violations),
        };
        (Some(summary), samples.iter().cloned().collect())
    }
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

/// What comes of a forward or a move.
fn transport(verb: &str, feature: Feature, mode: Mode, mine: Option<&Mine<'_>>) -> (Reason, String) {
    if feature == Feature::Unsupported {
        let message = format!("The LiveKit server cannot {verb} participants, which LiveKit Cloud alone can.");
        return (Reason::UnsupportedByServer, message);
    }
    let Some(report) = mine.and_then(Mine::transfer).filter(|report| report.settled) else {
        return first_look();
    };
    if let Some(failure) = &report.failure {
        return (Reason::EnforcementFailed, failure.clone());
    }
    if let Some(in_use) = &report.in_use {
        return (Reason::IdentityInUse, format!("{in_use}."));
    }
    if let Some(circle) = &report.circle {
        return (Reason::MoveLoop, format!("{circle}."));
    }
    match (mode, report.counts.rooms) {
        (Mode::Enforce, _) if report.undone => {
            said(Reason::UndoneByOthers, "Somebody ends copies again and again, so they are made less often.")
        }
        (Mode::Audit, _) => said(Reason::Audited, AUDITED),
        (Mode::Enforce, 0) => said(Reason::NoActiveRooms, "No source room is in session."),
        (Mode::Enforce, _) => said(Reason::Enforced, "Enforced in every source room in session."),
    }
}

fn first_look() -> (Reason, String) {
    said(Reason::Progressing, "The first look at every room after the start or the last change is not complete.")
}

fn said(reason: Reason, message: &str) -> (Reason, String) {
    (reason, message.to_owned())
}

fn enforcement(mode: Mode, report: Option<&PolicyReport>) -> (Reason, String) {
    let Some(report) = report.filter(|report| report.settled) else {
        return first_look();
    };
    if report.remote_unmute_disabled {
        let message = "The LiveKit server does not allow remote unmute: set room.enable_remote_unmute in its \
                       configuration, or remove muted: false.";
        return said(Reason::RemoteUnmuteDisabled, message);
    }
    match (&report.failure, mode, report.counts.rooms) {
        (Some(failure), ..) => (Reason::EnforcementFailed, failure.clone()),
        (None, Mode::Audit, _) => said(Reason::Audited, AUDITED),
        (None, Mode::Enforce, 0) => said(Reason::NoActiveRooms, "No room in session is governed."),
        (None, Mode::Enforce, _) => said(Reason::Enforced, "Enforced in every room in session that is governed."),
    }
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
