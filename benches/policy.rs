//! What it costs to compile, to find the policies of a room and to plan for a participant.
//!
//! 10,000 policies, ten for each of 1,000 teams; 5,000 rooms, five of each team; 20 participants in each room. Each
//! figure is for one element, and beside it stands what the obvious way costs, so that ratios hold on any machine.
#![allow(missing_docs, clippy::unwrap_used)]

use std::{hint::black_box, sync::Arc};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use jiff::Timestamp;
use usher::{
    api::{RoomPolicySpec, Source, StringMatch},
    policy::{
        Circumstances, Line, Media, Member, ObjectName, Participant, Permission, Policy, PolicySet, Reach, Resolver,
        Session, Sources, Track, plan,
    },
};

const TEAMS: usize = 1_000;
const POLICIES_OF_A_TEAM: usize = 10;
const ROOMS: usize = 5_000;
const PARTICIPANTS_OF_A_ROOM: usize = 20;

/// Ten policies as teams have them: bans, hosts, audiences, moderation, defaults.
const TEMPLATES: [&str; POLICIES_OF_A_TEAM] = [
    "rules: [{name: banned, match: {identities: [{exact: troll-1}, {exact: troll-2}, {prefix: spam-}]}, remove: {}}]",
    "rules: [{name: hosts, match: {attributes: [{key: role, values: [{exact: host}]}]}, keep: true, set: {permission: {canPublish: true, canPublishData: true}}}]",
    "rules: [{name: audience, except: [{identities: [{prefix: moderator-}]}, {attributes: [{key: role, values: [{exact: host}]}]}], set: {permission: {canPublishSources: [Camera]}, metadata: audience, name: Guest, attributes: {seat: audience}, removeAttributes: [raised-hand]}}]",
    "rules: [{name: quiet, match: {publishing: [Microphone]}, mute: {sources: [Microphone]}}]",
    "rules: [{name: frozen, set: {permission: {canUpdateMetadata: false, canSubscribeMetrics: false}}}]",
    "rules: [{name: trial, match: {joinedFor: 1h, attributes: [{key: plan, values: [{exact: trial}]}]}, remove: {}}]",
    "rules: [{name: phones, match: {kinds: [Sip]}, set: {attributes: {device: phone}}}]",
    "rules: [{name: night, activeFrom: '2030-01-01T00:00:00Z', set: {permission: {canPublish: false}}}]",
    "rules: [{name: guests, match: {identities: [{regex: 'guest-[0-9]{1,6}'}]}, set: {permission: {canPublishData: false}}}]",
    "{priority: -100, rules: [{name: base, set: {permission: {canSubscribe: true, canPublish: true}}}]}",
];

fn specs() -> Vec<(ObjectName, RoomPolicySpec)> {
    let templates = TEMPLATES.map(|yaml| {
        let mut spec: serde_json::Value = serde_saphyr::from_str(yaml).unwrap();
        spec["serverRef"] = serde_json::json!({"name": "main"});
        spec["rooms"] = serde_json::json!([{"exact": ""}]);
        serde_json::from_value::<RoomPolicySpec>(spec).unwrap()
    });
    let teams =
        (0..TEAMS).flat_map(|team| templates.iter().enumerate().map(move |(number, spec)| (team, number, spec)));
    teams
        .map(|(team, number, spec)| {
            let rooms = vec![StringMatch::Prefix(format!("team-{team:04}-"))];
            let name = ObjectName::new("livekit", &format!("team-{team:04}-{number}"));
            (name, RoomPolicySpec { rooms, ..spec.clone() })
        })
        .collect()
}

fn policies() -> PolicySet {
    let member = |(name, spec): (ObjectName, RoomPolicySpec)| Member {
        policy: Arc::new(Policy::compile(name, &spec).unwrap()),
        reach: Reach::Home,
    };
    PolicySet::new(specs().into_iter().map(member).collect(), vec![])
}

fn room(number: usize) -> String {
    format!("team-{:04}-room-{number}", number % TEAMS)
}

fn now() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

/// Somebody who is as the ten policies say.
fn compliant(number: usize) -> Participant {
    let joined_at = "2026-06-01T11:30:00Z".parse().unwrap();
    let somebody = Participant::new(&format!("PA_{number}"), &format!("user-{number}"), joined_at);
    Participant {
        name: "Guest".into(),
        metadata: "audience".into(),
        attributes: [("plan", "paid"), ("seat", "audience"), ("team", "red")]
            .map(|(k, v)| (k.into(), v.into()))
            .into_iter()
            .collect(),
        permission: Permission { sources: Sources::of(Source::Camera), ..somebody.permission },
        tracks: vec![Track {
            sid: format!("TR_{number}"),
            media: Media::Video,
            claimed: Some(Source::Camera),
            muted: false,
        }],
        ..somebody
    }
}

fn plan_for(resolver: &mut Resolver, line: &Line, participant: &Participant, session: &Session) -> usize {
    let resolution = resolver.resolve(&line.enforced, participant, now());
    let circumstances = Circumstances {
        session,
        removed_at: None,
        can_unmute: true,
        unknown_from: line.unknown_from.as_ref(),
        now: now(),
    };
    plan(&resolution, participant, circumstances).actions.len()
}

fn compile(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compile");
    let specs = specs();
    group.sample_size(10).throughput(Throughput::Elements(specs.len() as u64));
    group.bench_function("10000 policies", |bencher| {
        bencher.iter(|| specs.iter().filter(|(name, spec)| Policy::compile(name.clone(), spec).is_ok()).count());
    });
    group.finish();
}

fn find(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("the line of a room among 10000 policies");
    let set = policies();
    let rooms: Vec<_> = (0..ROOMS).map(room).collect();
    group.sample_size(20).throughput(Throughput::Elements(rooms.len() as u64));
    group.bench_function("by index, 5000 rooms", |bencher| {
        bencher.iter(|| rooms.iter().filter_map(|room| set.line(room)).map(|line| line.enforced.len()).sum::<usize>());
    });
    group.bench_function("by index, 5000 rooms that no policy is for", |bencher| {
        bencher.iter(|| rooms.iter().filter(|room| set.line(&room[1..]).is_none()).count());
    });
    group.throughput(Throughput::Elements(50));
    group.bench_function("by asking each policy, 50 rooms", |bencher| {
        let asks = |room: &String| set.members().iter().filter(|member| member.policy.rooms.matches(room)).count();
        bencher.iter(|| rooms[..50].iter().map(asks).sum::<usize>());
    });
    group.finish();
}

fn resolve_and_plan(criterion: &mut Criterion) {
    let set = policies();
    let lines: Vec<_> = (0..ROOMS).map(|number| set.line(&room(number)).unwrap()).collect();
    assert!(lines.iter().all(|line| line.enforced.len() == POLICIES_OF_A_TEAM));
    let participants: Vec<_> = (0..ROOMS * PARTICIPANTS_OF_A_ROOM).map(compliant).collect();
    let session = Session::default();

    let mut group = criterion.benchmark_group("resolve and plan under ten policies");
    group.sample_size(20);
    for rooms in [50, 500, ROOMS] {
        let count = rooms * PARTICIPANTS_OF_A_ROOM;
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::new("compliant", count), |bencher| {
            let mut resolver = Resolver::default();
            bencher.iter(|| {
                let rooms = participants[..count].chunks(PARTICIPANTS_OF_A_ROOM).zip(&lines);
                let everybody = rooms.flat_map(|(people, line)| people.iter().map(move |one| (one, line)));
                let actions = everybody.map(|(one, line)| plan_for(&mut resolver, line, one, &session)).sum::<usize>();
                assert_eq!(black_box(actions), 0);
            });
        });
    }
    let guests: Vec<_> = participants[..1_000]
        .iter()
        .map(|one| Participant {
            name: "Alice".into(),
            permission: Permission { can_subscribe: true, can_publish: true, ..Permission::default() },
            ..one.clone()
        })
        .collect();
    group.throughput(Throughput::Elements(guests.len() as u64));
    group.bench_function(BenchmarkId::new("just joined", guests.len()), |bencher| {
        let mut resolver = Resolver::default();
        bencher.iter(|| guests.iter().map(|one| plan_for(&mut resolver, &lines[0], one, &session)).sum::<usize>());
    });
    group.throughput(Throughput::Elements(50));
    group.bench_function(BenchmarkId::new("compliant, asking each policy of the set", 50), |bencher| {
        let room = room(0);
        bencher.iter(|| {
            let mut actions = 0;
            for one in &participants[..50] {
                let mut line = Line { enforced: vec![], audited: vec![], unknown_from: None };
                let asked = set.members().iter().filter(|member| member.policy.rooms.matches(&room));
                let standing =
                    |policy: &Arc<Policy>| lines[0].enforced.iter().find(|known| Arc::ptr_eq(&known.policy, policy));
                line.enforced.extend(asked.filter_map(|member| standing(&member.policy)).cloned());
                line.enforced.sort_by(|a, b| a.place.cmp(&b.place));
                actions += plan_for(&mut Resolver::default(), &line, one, &session);
            }
            assert_eq!(black_box(actions), 0);
        });
    });
    group.finish();
}

criterion_group!(benches, compile, find, resolve_and_plan);
criterion_main!(benches);
