//! When nothing happens any more and nothing goes wrong, all becomes as declared, and then nothing is done.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::Instant;
use usher::{
    engine::Health,
    policy::{Flag, ObjectName, Participant, Publishing, Sources, Track},
};

use crate::{
    operator::RESYNC,
    reference::{self, Decided, Declared},
    schedule,
    stage::Stage,
    truth,
};

/// What narrows, mutes or removes is never put off: it waits at most for the longest pause after failures, and for two
/// listings.
const SOON: Duration = Duration::from_secs(130);
/// What others undid again and again, or the server refused, may wait for five minutes more.
const AT_LAST: Duration = Duration::from_secs(900);
const LOOK: Duration = Duration::from_secs(5);
/// Longer than it takes to look at everything.
const QUIET: Duration = Duration::from_secs(36);

/// What is not as declared.
#[derive(Debug)]
pub struct Deviation {
    /// Something is open that should not be.
    is_open: bool,
    what: String,
}

/// Calms everything and sees that it becomes as declared, and stays so without a word.
pub async fn come(stage: &mut Stage) {
    schedule::clear(stage);
    stage.say(|| "it is calm".into());
    if stage.objects.suspended {
        stage.objects.suspended = false;
        stage.show();
    }
    let begun = Instant::now();
    while !has_broken(stage) {
        // To look is dear, and of no use while something is done.
        let (waited, quiet) = (begun.elapsed(), stage.shared.ledger().wrote.max(begun).elapsed());
        if quiet < QUIET && waited < SOON {
            tokio::time::sleep(QUIET - quiet).await;
            continue;
        }
        let deviations = deviations(stage);
        let late = deviations.iter().find(|deviation| waited >= AT_LAST || deviation.is_open && waited >= SOON);
        if let Some(Deviation { what, .. }) = late {
            let broken = format!("{waited:?} after it became calm: {what}");
            return stage.shared.ledger().break_rule(broken);
        }
        if deviations.is_empty() && quiet >= QUIET {
            return see_report(stage);
        }
        if deviations.is_empty() && waited > AT_LAST + 2 * RESYNC {
            return stage.shared.ledger().break_rule("all is as declared, and requests go on".into());
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn has_broken(stage: &Stage) -> bool {
    stage.shared.ledger().broken.is_some()
}

/// The engine says so too.
fn see_report(stage: &Stage) {
    let operator = stage.operator.lock().unwrap();
    let Some(operator) = operator.as_ref() else { return };
    let reports = operator.reports.borrow();
    let Some(report) = reports.get(&ObjectName::new("m", "main")) else {
        return stage.shared.ledger().break_rule("no report of the server".into());
    };
    if report.health != Health::Good {
        stage.shared.ledger().break_rule(format!("the report says {:?}", report.health));
    }
    for (name, policy) in &report.policies {
        let counts = policy.counts;
        if !policy.settled || counts.pending + counts.failed > 0 && policy.samples.is_empty() {
            stage.shared.ledger().break_rule(format!("the report says of {name}: {policy:?}"));
        }
    }
    if operator.metrics.panics.get() > 0 {
        stage.shared.ledger().break_rule("a panic".into());
    }
}

pub fn deviations(stage: &Stage) -> Vec<Deviation> {
    let (simulator, declared) = (stage.simulator(), stage.objects.declared());
    let mut found = Vec::new();
    for room in rooms(stage) {
        for participant in truth::everybody(&simulator, &room) {
            of_policies(stage, &room, &participant, &declared, &mut found);
        }
    }
    of_copies(stage, &mut found);
    of_moves(stage, &mut found);
    found
}

/// The rooms in session.
fn rooms(stage: &Stage) -> Vec<String> {
    stage.simulator().rooms().into_iter().map(|room| room.name).collect()
}

fn of_policies(
    stage: &Stage,
    room: &str,
    participant: &Participant,
    declared: &[Declared],
    found: &mut Vec<Deviation>,
) {
    let now = stage.shared.ledger().now();
    let decided = reference::decide(room, declared, None, participant, now);
    if decided.get("remove").is_some_and(|decided| decided.wanted == "removed") {
        let what = format!("{}/{} is still there: {decided:?}", room, participant.identity);
        return found.push(Deviation { is_open: true, what });
    }
    for (field, decided) in &decided {
        let Some((is_open, seen)) = deviation(stage, participant, field, decided, declared) else { continue };
        let Decided { wanted, by, .. } = decided;
        let what = format!("{field} of {room}/{} is {seen}, not {wanted} as {by} wants", participant.identity);
        found.push(Deviation { is_open, what });
    }
}

/// Whether a field is not as it was decided; whether that leaves something open, and what it is instead.
fn deviation(
    stage: &Stage,
    participant: &Participant,
    field: &str,
    decided: &Decided,
    declared: &[Declared],
) -> Option<(bool, String)> {
    let wanted = decided.wanted.as_str();
    let text = |seen: Option<&str>| {
        let seen = seen.unwrap_or("absent");
        (seen != wanted).then(|| (false, seen.to_owned()))
    };
    if field == "permission.canPublish" {
        return publishing(stage, participant, decided.publishing());
    }
    if let Some(name) = field.strip_prefix("permission.") {
        let flag = Flag::ALL.into_iter().find(|flag| flag.name() == name)?;
        let seen = flag.of(&participant.permission);
        return (seen.to_string() != wanted).then(|| (seen, seen.to_string()));
    }
    if let Some(source) = field.strip_prefix("mute.") {
        let of_source = |track: &&Track| track.source().is_some_and(|is| format!("{is:?}") == source);
        let mut tracks = participant.tracks.iter().filter(of_source);
        let heard = tracks.find(|track| !track.muted)?;
        let always = wanted == "muted" && reference::mutes_always(declared, &decided.by);
        return always.then(|| (true, format!("unmuted in {}", heard.sid)));
    }
    match field.strip_prefix("attributes.") {
        Some(key) => text(participant.attributes.get(key).map(|value| &**value)),
        None if field == "name" => text(Some(&participant.name)),
        None if field == "metadata" => text(Some(&participant.metadata)),
        None => None,
    }
}

fn publishing(stage: &Stage, participant: &Participant, wanted: Publishing) -> Option<(bool, String)> {
    let seen = participant.permission.publishing();
    if !seen.within(wanted) {
        return Some((true, format!("{seen}")));
    }
    if let Publishing::Only(sources) = wanted {
        let misplaced = |track: &&Track| track.source().is_some_and(|source| !sources.contains(source));
        if let Some(track) = participant.tracks.iter().find(misplaced) {
            return Some((true, format!("{seen}, and there is {track:?}")));
        }
    }
    if seen == wanted {
        return None;
    }
    // What was misused three times stays withdrawn for the session.
    let ledger = stage.shared.ledger();
    let mine = ledger.withdrawn.iter().filter(|(sid, _)| **sid == *participant.sid);
    let withdrawn = mine.fold(Sources::NONE, |all, (_, withdrawn)| all.with(*withdrawn));
    let times = ledger.withdrawn.iter().filter(|(sid, _)| **sid == *participant.sid).count();
    let stays = times >= 3 && wanted.minus(withdrawn).within(seen);
    (!stays).then(|| (false, format!("{seen}")))
}

/// Copies are where some forward wants one, unless somebody of the identity is there, and where none does, they are no
/// more.
fn of_copies(stage: &Stage, found: &mut Vec<Deviation>) {
    let (simulator, now) = (stage.simulator(), stage.shared.ledger().now());
    let destinations = stage.objects.forwards.iter().flat_map(|forward| &forward.to);
    for to in destinations.collect::<BTreeSet<_>>() {
        let there = truth::everybody(&simulator, to);
        let mut sources = Vec::new();
        for from in rooms(stage).into_iter().filter(|from| *from != *to) {
            let everybody = truth::everybody(&simulator, &from).into_iter();
            sources.extend(everybody.filter(|source| !source.forwarded).map(|source| (from.clone(), source)));
        }
        let leads = |forward: &&crate::declared::Bringing| forward.to.contains(to);
        let forwards: Vec<_> = stage.objects.forwards.iter().filter(leads).collect();
        let is_wanted =
            |from: &str, source: &Participant| forwards.iter().any(|forward| forward.takes(from, source, now));
        for (from, source) in &sources {
            let is_there = there.iter().any(|one| one.identity == source.identity);
            if is_wanted(from, source) && !is_there {
                let what = format!("no copy of {from}/{} in {to}", source.identity);
                found.push(Deviation { is_open: false, what });
            }
        }
        for copy in there.iter().filter(|one| one.forwarded) {
            let mut mine = sources.iter().filter(|(_, source)| source.identity == copy.identity);
            let is_wanted = mine.clone().any(|(from, source)| is_wanted(from, source));
            // Of versions from before it started an operator knows nothing, and what only reports owns nothing.
            let owns = |from: &str| forwards.iter().any(|forward| forward.owns(from));
            let is_owned =
                !stage.forgot && forwards.iter().all(|forward| forward.acts()) || mine.any(|(from, _)| owns(from));
            if !is_wanted && is_owned {
                found.push(Deviation { is_open: true, what: format!("a copy of {} in {to}", copy.identity) });
            }
        }
    }
}

/// Nobody is left whom a move takes, unless somebody of the identity is there already.
fn of_moves(stage: &Stage, found: &mut Vec<Deviation>) {
    let (simulator, now) = (stage.simulator(), stage.shared.ledger().now());
    for movement in &stage.objects.moves {
        for room in rooms(stage) {
            for participant in truth::everybody(&simulator, &room) {
                let mut to = movement.to.iter();
                let is_free = to.all(|to| *to != room && simulator.participant(to, &participant.identity).is_none());
                if movement.takes(&room, &participant, now) && is_free {
                    let what = format!("{room}/{} has not been moved", participant.identity);
                    found.push(Deviation { is_open: false, what });
                }
            }
        }
    }
}
