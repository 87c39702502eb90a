//! What happens: one seed, one schedule.

use std::time::Duration;

use fastrand::Rng;
use livekit_protocol::{
    DisconnectReason, ParticipantPermission, RoomParticipantIdentity, TrackSource, TrackType, UpdateParticipantRequest,
    participant_info::Kind,
};
use usher::simulator::{Call, Caller, Change, Join, Publication};

use crate::{
    calm,
    declared::Objects,
    ledger::Who,
    rules::{IDENTITIES, ROOMS},
    stage::Stage,
    weather::{self, Spoiled},
};

/// How much happens in a schedule.
const STEPS: usize = 30;

/// What came of a schedule.
pub struct Outcome {
    /// The rule that was broken, or what is not as declared in the end.
    pub broken: Option<String>,
    pub story: String,
    /// Requests that were sent.
    pub requests: u64,
}

/// Plays the schedule of a seed.
pub async fn play(seed: u64, with_story: bool) -> Outcome {
    fastrand::seed(seed);
    let mut random = Rng::with_seed(seed);
    let mut stage = Stage::new(seed, |now| Objects::draw(&mut random, now), with_story);
    stage.say(|| format!("seed {seed}\n{}", stage.objects.describe()));
    for _ in 0..random.usize(0..6) {
        come_or_go(&mut stage, &mut random);
    }
    pass(milliseconds(&mut random, 0..100)).await;
    stage.show();
    stage.forgot = false;
    for _ in 0..STEPS {
        happen(&mut stage, &mut random).await;
        if stage.shared.ledger().broken.is_some() {
            break;
        }
    }
    calm::come(&mut stage).await;
    let mut ledger = stage.shared.ledger();
    Outcome { broken: ledger.broken.take(), story: ledger.story(), requests: ledger.requests }
}

async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

fn milliseconds(random: &mut Rng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(random.u64(range))
}

/// One thing that happens, and maybe a moment after it.
async fn happen(stage: &mut Stage, random: &mut Rng) {
    match random.u8(0..100) {
        0..30 => come_or_go(stage, random),
        30..42 => act(stage, random),
        42..47 => change_itself(stage, random),
        47..50 => meddle(stage, random),
        50..62 => edit(stage, random),
        62..76 => spoil(stage, random),
        76..80 => {
            stage.say(|| "all goes well".into());
            clear(stage);
        }
        80..84 => {
            stage.say(|| "the operator crashes and starts".into());
            stage.start_operator();
            pass(milliseconds(random, 0..3000)).await;
            stage.show();
        }
        84..86 => {
            let pause = milliseconds(random, 0..8000);
            stage.say(|| format!("the server crashes, and is there again after {pause:?}"));
            stage.crash_server(pause);
        }
        86..88 => {
            stage.objects.suspended = !stage.objects.suspended;
            stage.say(|| format!("the server is suspended: {}", stage.objects.suspended));
            stage.show();
        }
        _ => pass(milliseconds(random, 1..20_000)).await,
    }
    if random.bool() {
        pass(milliseconds(random, 0..500)).await;
    } else {
        tokio::task::yield_now().await;
    }
}

/// Nothing goes wrong from now on.
pub fn clear(stage: &Stage) {
    stage.simulator().heal();
    stage.shared.weather().clear();
}

fn somebody(random: &mut Rng) -> Who {
    (ROOMS[random.usize(..ROOMS.len())].into(), IDENTITIES[random.usize(..IDENTITIES.len())].into())
}

/// Somebody of those who are there.
fn somebody_there(stage: &Stage, random: &mut Rng) -> Option<Who> {
    let simulator = stage.simulator();
    let there = ROOMS.iter().flat_map(|room| {
        let all = simulator.participants(room).into_iter();
        all.map(|participant| ((*room).to_owned(), participant.identity)).collect::<Vec<_>>()
    });
    let there: Vec<Who> = there.collect();
    (!there.is_empty()).then(|| there[random.usize(..there.len())].clone())
}

/// The first token of somebody.
fn token(random: &mut Rng, (room, identity): &Who) -> Join {
    let mut join = Join::new(room, identity);
    match random.u8(0..5) {
        0 => join = join.attribute("role", "host"),
        1 => join = join.attribute("role", "bad"),
        2 => join = join.attribute("hand", "up"),
        _ => {}
    }
    if random.u8(0..8) == 0 {
        join.kind = [Kind::Agent, Kind::Sip, Kind::Egress, Kind::Ingress][random.usize(..4)];
    }
    let bits = random.u8(..);
    join.permission(|permission: &mut ParticipantPermission| {
        permission.can_update_metadata = bits & 3 == 0;
        permission.can_publish = bits & 12 != 0;
        permission.hidden = bits & 0xF0 == 0;
        if bits & 0xF0 == 0x10 {
            permission.can_publish_sources = vec![TrackSource::Camera.into(), TrackSource::ScreenShare.into()];
        }
    })
}

fn come_or_go(stage: &mut Stage, random: &mut Rng) {
    let (who, simulator) = (somebody(random), stage.simulator());
    let (room, identity) = (&*who.0, &*who.1);
    if stage.shared.weather().is_down() {
        return;
    }
    let there = simulator.participant(room, identity);
    let joining = there.as_ref().is_some_and(|there| there.state != 2);
    let join = match (there, random.u8(0..4)) {
        (Some(_), 0) if joining => {
            stage.say(|| format!("{identity} is connected to {room}"));
            let _ = simulator.connect(room, identity);
            return;
        }
        (Some(_), 0 | 1) => {
            stage.say(|| format!("{identity} leaves {room}"));
            let _ = simulator.leave(room, identity, DisconnectReason::ClientInitiated);
            return;
        }
        (Some(_), 2) => simulator.refreshed(room, identity).ok(),
        _ => stage.tokens.get(&who).filter(|_| random.bool()).cloned(),
    };
    let join = join.unwrap_or_else(|| token(random, &who));
    stage.tokens.entry(who.clone()).or_insert_with(|| join.clone());
    if random.u8(0..6) == 0 {
        let _ = simulator.begin_to_join(join.clone());
        stage.say(|| format!("{identity} begins to join {room}: {join:?}"));
    } else {
        let _ = simulator.join(join.clone());
        stage.say(|| format!("{identity} joins {room}: {join:?}"));
    }
}

/// Somebody publishes, unpublishes, mutes or unmutes.
fn act(stage: &Stage, random: &mut Rng) {
    let Some((room, identity)) = somebody_there(stage, random) else { return };
    let simulator = stage.simulator();
    let tracks = simulator.participant(&room, &identity).map(|there| there.tracks).unwrap_or_default();
    if random.bool() && !tracks.is_empty() {
        let track = &tracks[random.usize(..tracks.len())];
        if random.u8(0..3) == 0 {
            stage.say(|| format!("{identity} unpublishes {} in {room}", track.sid));
            let _ = simulator.unpublish(&room, &identity, &track.sid);
        } else {
            stage.say(|| format!("{identity} turns {} in {room} to muted: {}", track.sid, !track.muted));
            let _ = simulator.mute(&room, &identity, &track.sid, !track.muted);
        }
        return;
    }
    let sources = [TrackSource::Camera, TrackSource::Microphone, TrackSource::ScreenShare, TrackSource::Unknown];
    let mut publication = Publication::of(sources[random.usize(..sources.len())]);
    if random.u8(0..8) == 0 {
        publication.media = TrackType::Audio;
    }
    let published = simulator.publish(&room, &identity, &publication);
    stage.say(|| format!("{identity} publishes {publication:?} in {room}: {published:?}"));
}

fn change(random: &mut Rng) -> Change {
    let mut change = Change::default();
    match random.u8(0..5) {
        0 => change.name = "Me".into(),
        1 => change.metadata = "mine".into(),
        2 => drop(change.attributes.insert("role".into(), ["host", "bad", ""][random.usize(..3)].into())),
        3 => drop(change.attributes.insert("seat".into(), "throne".into())),
        _ => drop(change.attributes.insert("hand".into(), "up".into())),
    }
    change
}

fn change_itself(stage: &Stage, random: &mut Rng) {
    let Some((room, identity)) = somebody_there(stage, random) else { return };
    let change = change(random);
    let allowed = stage.simulator().change(&room, &identity, &change);
    stage.say(|| format!("{identity} changes itself in {room}: {change:?}, {allowed:?}"));
}

/// Another admin changes somebody, and no webhook tells.
fn meddle(stage: &Stage, random: &mut Rng) {
    let Some((room, identity)) = somebody_there(stage, random) else { return };
    let Change { name, metadata, attributes } = change(random);
    let permission = ParticipantPermission {
        can_publish: random.bool(),
        can_subscribe: random.bool(),
        can_publish_data: true,
        ..Default::default()
    };
    stage.say(|| format!("somebody else gives {identity} in {room} {permission:?}, {attributes:?}"));
    let who = RoomParticipantIdentity { room: room.clone(), identity: identity.clone(), ..Default::default() };
    let request = UpdateParticipantRequest {
        room: who.room,
        identity: who.identity,
        metadata,
        name,
        permission: Some(permission),
        attributes: attributes.into_iter().collect(),
    };
    let simulator = stage.simulator();
    tokio::spawn(async move { simulator.perform(&Caller::Trusted, Call::UpdateParticipant(request), None).await });
}

fn edit(stage: &mut Stage, random: &mut Rng) {
    let now = stage.shared.ledger().now();
    let said = stage.objects.edit(random, now);
    stage.say(|| format!("somebody {said}"));
    stage.show();
}

fn spoil(stage: &Stage, random: &mut Rng) {
    let said = match random.u8(0..6) {
        0..=2 => weather::spoil_calls(random, &stage.simulator()),
        3 | 4 => weather::spoil_webhooks(random, &stage.simulator()),
        _ => {
            let spoiled = if random.bool() { Spoiled::Empty } else { Spoiled::Partial };
            let times = random.usize(1..4);
            stage.shared.weather().spoil_next(spoiled, times);
            format!("the next {times} listings are {spoiled:?}")
        }
    };
    stage.say(|| said);
}
