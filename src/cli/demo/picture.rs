//! What is to be seen at one moment.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use livekit_protocol::participant_info::KindDetail;

use super::ledger::Ledger;
use crate::{
    api::Mode,
    engine::Reports,
    livekit::Method,
    metrics::Metrics,
    policy::{Counts, Transport},
    simulator::Simulator,
};

/// What is to be seen at one moment.
pub(super) struct Picture<'a> {
    /// Since when the demo runs.
    pub(super) elapsed: Duration,
    /// Where the simulated LiveKit is.
    pub(super) url: &'a str,
    /// Where the manifests are.
    pub(super) folder: &'a PathBuf,
    /// By name.
    pub(super) rooms: Vec<Room>,
    /// By kind and name.
    pub(super) objects: Vec<Object>,
    /// What was done.
    pub(super) ledger: &'a Ledger,
    /// Requests that changed something, and those that only looked.
    pub(super) requests: (u64, u64),
}

/// A room.
pub(super) struct Room {
    pub(super) name: String,
    pub(super) people: Vec<Person>,
}

/// Somebody in a room.
pub(super) struct Person {
    pub(super) identity: String,
    /// It is a copy of somebody in another room.
    pub(super) is_copy: bool,
    /// It may publish something.
    pub(super) may_publish: bool,
}

/// An object of ours.
pub(super) struct Object {
    pub(super) kind: &'static str,
    pub(super) name: String,
    pub(super) reason: String,
    /// Whether it only reports.
    pub(super) audits: bool,
    pub(super) counts: Option<Counts>,
}

/// What a picture is made from, beside the ledger.
pub(super) struct Scene {
    pub(super) begun: Instant,
    pub(super) url: String,
    pub(super) folder: PathBuf,
    pub(super) simulator: Simulator,
    pub(super) metrics: std::sync::Arc<Metrics>,
    pub(super) reports: tokio::sync::watch::Receiver<Reports>,
}

impl Scene {
    /// How it is now.
    pub(super) fn picture<'a>(&'a self, ledger: &'a Ledger) -> Picture<'a> {
        Picture {
            elapsed: self.begun.elapsed(),
            url: &self.url,
            folder: &self.folder,
            rooms: self.rooms(),
            objects: self.objects(ledger),
            ledger,
            requests: self.requests(),
        }
    }

    fn rooms(&self) -> Vec<Room> {
        let rooms = self.simulator.rooms().into_iter().map(|room| {
            let people = self.simulator.participants(&room.name).into_iter().map(|info| Person {
                is_copy: info.kind_details.contains(&(KindDetail::Forwarded as i32)),
                may_publish: info.permission.is_some_and(|permission| permission.can_publish),
                identity: info.identity,
            });
            Room { people: people.collect(), name: room.name }
        });
        rooms.filter(|room| !room.people.is_empty()).collect()
    }

    fn objects(&self, ledger: &Ledger) -> Vec<Object> {
        let reports = self.reports.borrow();
        let reports: Vec<_> = reports.values().collect();
        let objects = ledger.reasons.iter().filter(|((kind, _), _)| *kind != "LiveKitServer");
        let objects = objects.map(|((kind, name), reason)| {
            let policy =
                reports.iter().flat_map(|report| &report.policies).find(|(known, _)| known.to_string() == *name);
            let transport = match *kind {
                "ParticipantForward" => Transport::Forward,
                _ => Transport::Move,
            };
            let mut transfers = reports.iter().flat_map(|report| &report.transfers);
            let transfer = transfers.find(|(id, _)| id.transport == transport && id.name.to_string() == *name);
            let (counts, mode) = match (*kind, policy, transfer) {
                ("RoomPolicy", Some((_, report)), _) => (Some(report.counts), report.policy.mode),
                ("RoomPolicy", None, _) => (None, Mode::Enforce),
                (_, _, Some((_, report))) => (Some(report.counts), report.transfer.mode),
                (_, _, None) => (None, Mode::Enforce),
            };
            let name = name.split_once('/').map_or(name.as_str(), |(_, name)| name).to_owned();
            Object { kind, name, reason: reason.clone(), audits: mode == Mode::Audit, counts }
        });
        objects.collect()
    }

    fn requests(&self) -> (u64, u64) {
        let looks = [Method::ListRooms, Method::ListParticipants, Method::GetParticipant];
        self.metrics.requests_made().fold((0, 0), |(changed, looked), (method, made)| {
            if looks.contains(&method) { (changed, looked + made) } else { (changed + made, looked) }
        })
    }
}

impl Picture<'_> {
    /// How many are in all rooms.
    pub(super) fn participants(&self) -> usize {
        self.rooms.iter().map(|room| room.people.len()).sum()
    }
}

/// A span as people read it.
pub(super) fn span(span: Option<Duration>) -> String {
    match span {
        None => "-".to_owned(),
        Some(span) if span < Duration::from_millis(100) => format!("{:.1} ms", span.as_secs_f64() * 1000.0),
        Some(span) if span < Duration::from_secs(1) => format!("{:.0} ms", span.as_secs_f64() * 1000.0),
        Some(span) => format!("{:.1} s", span.as_secs_f64()),
    }
}
