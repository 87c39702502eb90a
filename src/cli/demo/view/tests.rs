//! The picture on terminals of several sizes.

use std::{path::PathBuf, time::Duration};

use ratatui::{Terminal, backend::TestBackend};

use super::*;
use crate::{
    cli::demo::{ledger::Ledger, picture::Person},
    engine::Deed,
    files::{Mistake, Told},
    policy::{Counts, ObjectName, RuleName},
};

fn room(name: &str, people: &[&str]) -> Room {
    let people = people.iter().map(|identity| Person {
        identity: (*identity).to_owned(),
        is_copy: identity.starts_with("copy-"),
        may_publish: true,
    });
    Room { name: name.to_owned(), people: people.collect() }
}

fn ledger() -> Ledger {
    let mut ledger = Ledger::default();
    let policy = ObjectName::new("default", "webinar");
    ledger.take_deed(Deed {
        server: ObjectName::new("default", "demo"),
        room: "webinar-1".into(),
        identity: "troll-2".into(),
        what: Done::Removed(RuleName { policy, rule: "banned".into() }),
        after: Some(Duration::from_micros(3_210)),
    });
    ledger
}

/// What is on a terminal of this size, line by line.
fn drawn(ledger: &Ledger, width: u16, height: u16) -> Vec<String> {
    let folder = PathBuf::from("usher-demo");
    let object = |name: &str, audits| Object {
        kind: "RoomPolicy",
        name: name.to_owned(),
        reason: "Enforced".to_owned(),
        audits,
        counts: Some(Counts { participants: 9, compliant: 8, violations: 5, ..Counts::default() }),
    };
    let picture = Picture {
        elapsed: Duration::from_secs(75),
        url: "http://127.0.0.1:7880",
        folder: &folder,
        rooms: vec![room("webinar-1", &["guest-1", "guest-2"]), room("overflow", &["copy-1"])],
        objects: vec![object("webinar", false), object("names", true)],
        ledger,
        requests: (12, 34),
    };
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, &picture, Theme { colours: true })).unwrap();
    let cells = terminal.backend().buffer().content();
    cells.chunks(width.into()).map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect()).collect()
}

#[test]
fn what_matters_is_there_at_every_usual_size() {
    for (width, height) in [(80, 24), (100, 30), (120, 36), (200, 60)] {
        let screen = drawn(&ledger(), width, height).join("\n");
        for text in [
            "1:15",
            "q quits",
            "Rooms: 2, participants: 3",
            "webinar-1",
            "troll-2",
            "removed",
            "webinar/banned",
            "3.2 ms",
            "8 of 9",
            "12 to act, 34 to look.",
            "edit usher-demo/webinar.yaml",
        ] {
            assert!(screen.contains(text), "{text} at {width}x{height}:\n{screen}");
        }
        assert_eq!(screen.contains("[copy-1]"), width >= LARGE.0, "{screen}");
    }
}

#[test]
fn a_mistake_is_shown_whole() {
    let mut ledger = ledger();
    let mistake = Mistake {
        file: PathBuf::from("usher-demo/webinar.yaml"),
        line: Some(29),
        object: Some("RoomPolicy default/webinar".to_owned()),
        field: Some("spec.rules[2].set.permission.canPublishSorces".to_owned()),
        message: "unknown field; here may be: canPublish, canPublishSources, canSubscribe and-the-end".to_owned(),
    };
    ledger.take_told(&Told::Broken { mistakes: vec![mistake] });
    for (width, height) in [(80, 24), (200, 60)] {
        let screen = drawn(&ledger, width, height).join("\n");
        for text in ["stays in force", "usher-demo/webinar.yaml:29", "and-the-end"] {
            assert!(screen.contains(text), "{text} at {width}x{height}:\n{screen}");
        }
    }
    ledger.take_told(&Told::Loaded { objects: 7 });
    assert!(!drawn(&ledger, 80, 24).join("\n").contains("stays in force"));
}

#[test]
fn no_size_is_too_small() {
    for (width, height) in [(1, 1), (10, 3), (40, 5), (79, 10), (300, 2)] {
        assert_eq!(drawn(&ledger(), width, height).len(), usize::from(height));
    }
}
