//! The rules of safety, each request judged by them before it is carried out.
//!
//! A request is right if it follows from objects that are in force and from what the engine was told: for a permission,
//! a removal or a move, told within the last two seconds.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use tokio::time::Instant;
use usher::{
    policy::{Flag, Participant, Permission, Publishing, Update},
    simulator::Simulator,
};

use crate::{
    declared::{Bringing, Objects},
    ledger::{Ledger, Told, Who, is_now},
    reference::{self, Decided},
    rules::ROOMS,
    truth,
    witness::Request,
};

/// The age of what may be acted on as a whole.
const FRESH: Duration = Duration::from_secs(2);
/// What was told so long ago of a source is no reason to end its copy.
const KNOWN: Duration = Duration::from_secs(12);
/// Of what needs no fresh base, so much is looked at.
const LATEST: usize = 12;

/// Judges a request that is about to be sent.
pub fn request(ledger: &mut Ledger, simulator: &Simulator, request: &Request) {
    let now = Instant::now();
    ledger.requests += 1;
    ledger.under_way += 1;
    if request.writes() {
        ledger.wrote = now;
        ledger.writes += 1;
    }
    let verdict = order(ledger, request, now).and_then(|()| match request {
        Request::Ping | Request::Rooms | Request::List(_) | Request::Get(_) => Ok(()),
        Request::Update(who, update) => self::update(ledger, who, update),
        Request::Remove(who) => remove(ledger, simulator, who),
        Request::Mute(who, track, muted) => mute(ledger, who, track, *muted),
        Request::Forward(who, to) => bring(ledger, who, to, false),
        Request::Move(who, to) => bring(ledger, who, to, true),
    });
    if let Err(broken) = verdict {
        ledger.break_rule(format!("{request}: {broken}"));
    }
}

/// What holds for every request: when it may be sent at all.
fn order(ledger: &mut Ledger, request: &Request, now: Instant) -> Result<(), String> {
    let in_force = ledger.in_force();
    let Some(objects) = in_force.last() else { return Err("sent before any object was known".into()) };
    if in_force.iter().all(|objects| objects.suspended) {
        return Err("sent to a suspended server".into());
    }
    if ledger.under_way > in_force.iter().map(|objects| objects.limits.max_in_flight).max().unwrap_or(0) {
        return Err(format!("one of {} under way", ledger.under_way));
    }
    if let Some((said, until)) = ledger.limited
        && !is_now(said, now)
        && now < until
    {
        return Err(format!("sent {:?} before the server wants to be asked again", until - now));
    }
    if let Some(rate) = objects.limits.rate {
        let (burst, per_second) = (f64::from(rate.burst.get()), f64::from(rate.per_second.get()));
        let (tokens, since) = ledger.tokens.unwrap_or((burst, now));
        let tokens = (tokens + per_second * now.duration_since(since).as_secs_f64()).min(burst) - 1.0;
        ledger.tokens = Some((tokens, now));
        // Governor's timers are as exact as a millisecond.
        if tokens < -0.1 {
            return Err(format!("{request} is over the budget"));
        }
    }
    Ok(())
}

/// What the engine may take for the whole truth of somebody: told lately, and not of a session before the one that is
/// there.
fn bases<'a>(ledger: &'a Ledger, who: &Who) -> Vec<&'a Told> {
    let now = Instant::now();
    let is_fresh = |told: &Told| told.begun.is_some_and(|begun| now.duration_since(begun) <= FRESH);
    let is_over = |told: &Told| {
        ledger.told(who).any(|other| {
            other.participant.joined_at > told.participant.joined_at
                && other.participant.sid != told.participant.sid
                && !ledger.over.contains(&*other.participant.sid)
                && !is_now(other.at, now)
        })
    };
    ledger.told(who).filter(|told| is_fresh(told) && !is_over(told)).collect()
}

fn decisions(objects: &Objects, room: &str, participant: &Participant, now: Timestamp) -> BTreeMap<String, Decided> {
    reference::decide(room, &objects.declared(), None, participant, now)
}

/// Whether something follows from any of the objects and any of what was told.
fn follows(
    ledger: &Ledger,
    who: &Who,
    told: &[&Told],
    holds: impl Fn(&Participant, &BTreeMap<String, Decided>) -> bool,
) -> bool {
    let (in_force, now) = (ledger.in_force(), ledger.now());
    told.iter().rev().any(|told| {
        in_force.iter().any(|objects| holds(&told.participant, &decisions(objects, &who.0, &told.participant, now)))
    })
}

fn update(ledger: &mut Ledger, who: &Who, update: &Update) -> Result<(), String> {
    let latest: Vec<&Told> = ledger.told(who).rev().take(LATEST).collect();
    let is_wanted = |field: &str, wanted: &str, seen: &dyn Fn(&Participant) -> Option<String>| {
        follows(ledger, who, &latest, |participant, decided| {
            decided.get(field).is_some_and(|decided| decided.wanted == wanted)
                && seen(participant).as_deref().unwrap_or("absent") != wanted
        })
    };
    if let Some(name) = &update.name
        && !is_wanted("name", name, &|seen| Some(seen.name.to_string()))
    {
        return Err(format!("no rule wants the name {name}, or it is so"));
    }
    if let Some(metadata) = &update.metadata
        && !is_wanted("metadata", metadata, &|seen| Some(seen.metadata.to_string()))
    {
        return Err(format!("no rule wants the metadata {metadata}, or it is so"));
    }
    for (key, value) in &update.attributes {
        let (field, wanted) = (format!("attributes.{key}"), value.as_deref().unwrap_or("absent"));
        if !is_wanted(&field, wanted, &|seen| seen.attributes.get(&**key).map(ToString::to_string)) {
            return Err(format!("no rule wants {field} to be {wanted}, or it is so"));
        }
    }
    if let Some(permission) = &update.permission {
        let bases = bases(ledger, who);
        if !follows(ledger, who, &bases, |seen, decided| is_permission(permission, &seen.permission, decided)) {
            return Err(match bases.is_empty() {
                true => "a permission without a fresh look".into(),
                false => "a permission that does not follow from any fresh look".into(),
            });
        }
    }
    if !update.withdraws.is_empty() {
        let sid = ledger.told(who).next_back().map(|told| told.participant.sid.to_string()).unwrap_or_default();
        ledger.withdrawn.push((sid, update.withdraws));
    }
    Ok(())
}

/// Whether a permission is what was seen, with nothing changed but what is declared, and something.
fn is_permission(sent: &Permission, seen: &Permission, decided: &BTreeMap<String, Decided>) -> bool {
    let flags = Flag::ALL.into_iter().all(|flag| {
        let wanted = decided.get(&format!("permission.{}", flag.name()));
        flag.of(sent) == flag.of(seen) || wanted.is_some_and(|wanted| wanted.wanted == flag.of(sent).to_string())
    });
    let wanted = decided.get("permission.canPublish").map(Decided::publishing);
    let (before, after) = (seen.publishing(), sent.publishing());
    // Sources are withdrawn for a while, and what widens may wait.
    let publishing = before == after
        || wanted.is_some_and(|wanted| after == wanted || (after.within(wanted) && wanted != Publishing::Everything));
    let carried = (sent.hidden, sent.recorder, sent.agent) == (seen.hidden, seen.recorder, seen.agent);
    flags && publishing && carried && sent != seen
}

fn remove(ledger: &Ledger, simulator: &Simulator, who: &Who) -> Result<(), String> {
    let now = Instant::now();
    if ledger.removed.get(who).is_some_and(|at| now.duration_since(*at) < Duration::from_secs(1)) {
        return Err("a second removal within a second".into());
    }
    let bases = bases(ledger, who);
    if bases.is_empty() {
        return Err("a removal without a fresh look".into());
    }
    let is_banned = |_: &Participant, decided: &BTreeMap<String, Decided>| {
        decided.get("remove").is_some_and(|decided| decided.wanted == "removed")
    };
    if follows(ledger, who, &bases, is_banned) {
        return Ok(());
    }
    if bases.iter().any(|told| told.participant.forwarded) {
        return retire(ledger, simulator, who);
    }
    Err("a removal that no rule wants".into())
}

/// A copy may go unless a forward wants it: by what is true, and by all that the engine was told of its sources of late.
fn retire(ledger: &Ledger, simulator: &Simulator, (to, identity): &Who) -> Result<(), String> {
    let (in_force, now, instant) = (ledger.in_force(), ledger.now(), Instant::now());
    // Where there is none, none is ended.
    if truth::somebody(simulator, to, identity).is_none_or(|there| !there.forwarded) {
        return Ok(());
    }
    for from in ROOMS.into_iter().filter(|from| from != to) {
        let wants = |objects: &Objects, participant: &Participant| {
            let takes = |forward: &&Bringing| forward.to.contains(to) && forward.takes(from, participant, now);
            objects.forwards.iter().any(|forward| takes(&forward))
        };
        let always = |participant: &Participant| in_force.iter().all(|objects| wants(objects, participant));
        let Some(source) = truth::somebody(simulator, from, identity).filter(|source| !source.forwarded) else {
            continue;
        };
        let source_of = (from.to_owned(), identity.clone());
        let of_late = |told: &&Told| instant.duration_since(told.at) <= KNOWN;
        let mut told = ledger.told(&source_of).filter(of_late);
        if always(&source) && told.all(|told| always(&told.participant)) {
            return Err(format!("the end of a copy that is wanted from {from}"));
        }
    }
    Ok(())
}

fn mute(ledger: &Ledger, who: &Who, track: &str, muted: bool) -> Result<(), String> {
    let latest: Vec<&Told> = ledger.told(who).rev().take(LATEST).collect();
    let wanted = if muted { "muted" } else { "unmuted" };
    let is_wanted = |participant: &Participant, decided: &BTreeMap<String, Decided>| {
        let track = participant.tracks.iter().find(|known| known.sid == track && known.muted != muted);
        let source = track.and_then(|track| track.source());
        let decided = source.and_then(|source| decided.get(&format!("mute.{source:?}")));
        decided.is_some_and(|decided| decided.wanted == wanted)
    };
    if follows(ledger, who, &latest, is_wanted) { Ok(()) } else { Err("no rule wants that, or it is so".into()) }
}

/// A forward, or a move.
fn bring(ledger: &Ledger, who: &Who, to: &str, moves: bool) -> Result<(), String> {
    let (in_force, now) = (ledger.in_force(), ledger.now());
    let told = if moves { bases(ledger, who) } else { ledger.told(who).rev().take(LATEST).collect() };
    let takes = |objects: &Objects, told: &Told| {
        let all = if moves { &objects.moves } else { &objects.forwards };
        all.iter().any(|one| one.to.iter().any(|wanted| wanted == to) && one.takes(&who.0, &told.participant, now))
    };
    let is_wanted = told.iter().any(|told| in_force.iter().any(|objects| takes(objects, told)));
    if is_wanted { Ok(()) } else { Err("nothing that was told lately makes it wanted".into()) }
}
