//! What holds for any policies, any participant and any circumstances.
//!
//! `PROPTEST_CASES` sets how many cases each property is tried with.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use proptest::{prelude::*, sample::Index, test_runner::Config};
use usher::{
    api::Mode,
    policy::{
        Action, CORRECTIONS, Field, Flag, ObjectName, Participant, Plan, Publishing, Reach, Resolver, Sources, Track,
        Unknown, Value,
    },
};

use crate::{
    generators::{Selects, World, given, world},
    livekit_model,
    reference::{self, Decided},
    support::Given,
};

const CASES: u32 = 2_000;

pub fn config() -> Config {
    let default = Config { failure_persistence: None, ..Config::default() };
    // What was asked for by the environment stands in the default already.
    if std::env::var_os("PROPTEST_CASES").is_some() { default } else { Config { cases: CASES, ..default } }
}

/// What the planner decides, in the words of the reference.
fn decisions(line: &[usher::policy::Standing], participant: &Participant, now: Timestamp) -> BTreeMap<String, Decided> {
    let mut resolver = Resolver::default();
    let decisions = resolver.resolve(line, participant, now).decisions(participant, now);
    decisions
        .into_iter()
        .map(|decision| {
            let over = decision.over.iter().map(ToString::to_string).collect();
            let decided = Decided { wanted: decision.wanted.to_string(), by: decision.by.to_string(), over };
            (decision.field.to_string(), decided)
        })
        .collect()
}

pub fn at_moment(now: Timestamp) -> Given {
    Given { now, ..Given::default() }
}

/// Carries out a whole plan; whether the participant is still there.
fn carry_out(plan: &Plan, participant: &mut Participant, given: &mut Given) -> bool {
    for (track, key) in &plan.settled {
        given.session.set_done(track, [*key]);
    }
    plan.actions.iter().all(|action| {
        given.session.carried_out(action, given.now, CORRECTIONS);
        livekit_model::carry_out(participant, action)
    })
}

fn withdraws(plan: &Plan) -> bool {
    plan.actions.iter().any(|action| matches!(action, Action::Update(update) if !update.withdraws.is_empty()))
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_reference_agrees_on_every_field_and_its_winner(world in world(Selects::OnAnything)) {
        let World { policies, participant, now } = &world;
        let hall = world.hall();
        let expected = reference::decide("hall", policies, None, participant, *now);
        prop_assert_eq!(decisions(&hall.line.enforced, participant, *now), expected);
        for audited in &hall.line.audited {
            let name = &audited.members[audited.subject].policy.name;
            let subject = policies.iter().find(|policy| *policy.namespace == *name.namespace && *policy.name == *name.name);
            let expected = reference::decide("hall", policies, subject, participant, *now);
            prop_assert_eq!(decisions(&audited.members, participant, *now), expected);
        }
    }

    #[test]
    fn what_is_planned_is_what_the_reference_finds_different(world in world(Selects::OnAnything)) {
        let World { policies, participant, now } = &world;
        let plan = world.hall().plan_given(participant, &at_moment(*now));
        let expected = reference::decide("hall", policies, None, participant, *now);
        for decision in plan.actions.iter().flat_map(|action| action.why()).chain(plan.open.iter().map(|open| &open.decision)) {
            let decided = &expected[&decision.field.to_string()];
            prop_assert_eq!(&decision.wanted.to_string(), &decided.wanted);
            prop_assert_eq!(&decision.by.to_string(), &decided.by);
            let over: Vec<_> = decision.over.iter().map(ToString::to_string).collect();
            prop_assert_eq!(&over, &decided.over);
        }
    }

    #[test]
    fn a_plan_that_was_carried_out_leaves_nothing_to_do(world in world(Selects::OnlyOnWhatNoRuleWrites), mut given in given()) {
        let hall = world.hall();
        // Without anything that makes it wait.
        given = Given { can_unmute: given.can_unmute, ..at_moment(world.now) };
        let mut participant = world.participant.clone();
        let first = hall.plan_given(&participant, &given);
        if !carry_out(&first, &mut participant, &mut given) {
            return Ok(());
        }
        let mut next = hall.plan_given(&participant, &given);
        if withdraws(&first) {
            // What was withdrawn for a moment is given back.
            prop_assert_eq!(next.actions.len(), 1);
            prop_assert!(!withdraws(&next));
            carry_out(&next, &mut participant, &mut given);
            next = hall.plan_given(&participant, &given);
        }
        prop_assert_eq!(next.actions, []);
        let decided = reference::decide("hall", &world.policies, None, &participant, world.now);
        for (field, decided) in decided {
            let is = match field.as_str() {
                "permission.canPublish" => participant.permission.publishing() == decided.publishing(),
                "name" => *participant.name == *decided.wanted,
                "metadata" => *participant.metadata == *decided.wanted,
                field if field.starts_with("attributes.") => {
                    let value = participant.attributes.get(&field["attributes.".len()..]);
                    value.map_or("absent", |value| &**value) == decided.wanted
                }
                field if field.starts_with("permission.") => {
                    let flag = Flag::ALL.into_iter().find(|flag| field.ends_with(flag.name())).unwrap();
                    flag.of(&participant.permission).to_string() == decided.wanted
                }
                field => field == "remove" || field.starts_with("mute."),
            };
            prop_assert!(is, "{} is not {}: {:?}", field, decided.wanted, participant);
        }
    }

    #[test]
    fn nothing_changes_that_no_rule_names(world in world(Selects::OnAnything), mut given in given()) {
        given.now = world.now;
        let before = &world.participant;
        let mut after = before.clone();
        let plan = world.hall().plan_given(before, &given);
        let stays = carry_out(&plan, &mut after, &mut given);
        let decided = reference::decide("hall", &world.policies, None, before, world.now);
        let named = |field: &str| decided.contains_key(field);
        prop_assert!(stays || decided["remove"].wanted == "removed");
        prop_assert!(named("name") || before.name == after.name);
        prop_assert!(named("metadata") || before.metadata == after.metadata);
        for flag in Flag::ALL {
            let same = flag.of(&before.permission) == flag.of(&after.permission);
            let field = format!("permission.{}", flag.name());
            prop_assert!(same || named(&field), "{} changed", field);
        }
        if !named("permission.canPublish") {
            prop_assert_eq!(before.permission.can_publish, after.permission.can_publish);
            prop_assert_eq!(before.permission.sources, after.permission.sources);
            prop_assert_eq!(before.tracks.len(), after.tracks.len());
        }
        prop_assert_eq!(before.permission.hidden, after.permission.hidden);
        prop_assert_eq!(before.permission.recorder, after.permission.recorder);
        prop_assert_eq!(before.permission.agent, after.permission.agent);
        for key in before.attributes.keys().chain(after.attributes.keys()) {
            let same = before.attributes.get(key) == after.attributes.get(key);
            let field = format!("attributes.{key}");
            prop_assert!(same || named(&field), "{} changed", field);
        }
        for track in &after.tracks {
            let was = before.tracks.iter().find(|known| known.sid == track.sid).unwrap();
            let field = track.source().map(|source| format!("mute.{source:?}"));
            prop_assert!(was.muted == track.muted || field.is_some_and(|field| named(&field)));
        }
    }

    #[test]
    fn nothing_is_sent_that_changes_nothing(world in world(Selects::OnAnything), mut given in given()) {
        given.now = world.now;
        let before = &world.participant;
        for action in world.hall().plan_given(before, &given).actions {
            let mut after = before.clone();
            livekit_model::carry_out(&mut after, &action);
            if let Action::Update(update) = action {
                prop_assert!(update.permission.is_none_or(|permission| permission != before.permission));
                prop_assert!(update.name.is_none_or(|name| *name != *before.name));
                prop_assert!(update.metadata.is_none_or(|metadata| *metadata != *before.metadata));
                for (key, value) in &update.attributes {
                    prop_assert_ne!(value.as_deref(), before.attributes.get(&**key).map(|value| &**value));
                }
            } else if let Action::Mute { .. } = action {
                prop_assert_ne!(&after, before);
            }
        }
    }

    #[test]
    fn the_order_in_which_policies_arrive_is_irrelevant(world in world(Selects::OnAnything), given in given(), turn in any::<Index>()) {
        let mut other = world.clone();
        let places = other.policies.len();
        other.policies.rotate_left(turn.index(places));
        let reversed = World { policies: other.policies.iter().rev().cloned().collect(), ..world.clone() };
        let expected = world.hall().plan_given(&world.participant, &given);
        prop_assert_eq!(&other.hall().plan_given(&world.participant, &given), &expected);
        prop_assert_eq!(&reversed.hall().plan_given(&world.participant, &given), &expected);
    }

    #[test]
    fn nobody_is_removed_whom_no_remove_rule_matches(world in world(Selects::OnAnything), given in given()) {
        let plan = world.hall().plan_given(&world.participant, &given);
        let decided = reference::decide("hall", &world.policies, None, &world.participant, given.now);
        let removed = decided.get("remove").is_some_and(|decided| decided.wanted == "removed");
        let removes = plan.actions.iter().any(|action| matches!(action, Action::Remove { .. }));
        let waits = given.removed_at.is_some_and(|at| given.now.duration_since(at) < SignedDuration::from_secs(1));
        prop_assert_eq!(removes, removed && !waits);
        prop_assert!(!removes || plan.actions.len() == 1, "a removal ends a plan");
    }

    #[test]
    fn while_an_object_of_higher_place_is_not_understood_nobody_is_removed(
        world in world(Selects::OnAnything), given in given(), priority in proptest::option::of(-1..=1),
    ) {
        let unknown = Unknown { name: ObjectName::new("m", "p2"), priority, reach: Reach::Home };
        let hall = world.hall_with_unknown(vec![unknown]);
        for action in hall.plan_given(&world.participant, &given).actions {
            let Action::Remove { why, .. } = action else { continue };
            let by = world.policies.iter().find(|policy| policy.namespace == &*why.by.policy.namespace && *policy.name == *why.by.policy.name).unwrap();
            let place = hall.line.enforced.iter().find(|standing| standing.policy.name == why.by.policy).unwrap();
            prop_assert!(hall.line.unknown_from.as_ref().is_some_and(|unknown| place.place <= *unknown));
            prop_assert!(priority.is_some_and(|priority| by.spec.priority >= priority));
        }
    }

    #[test]
    fn who_is_audited_suspended_expired_or_not_yet_active_never_acts(world in world(Selects::OnAnything), mut given in given()) {
        given.now = world.now;
        for action in world.hall().plan_given(&world.participant, &given).actions {
            for why in action.why() {
                let policy = world.policies.iter().find(|policy| ObjectName::new(policy.namespace, &policy.name) == why.by.policy).unwrap();
                let rule = policy.spec.rules.iter().find(|rule| rule.name == *why.by.rule).unwrap();
                prop_assert!(policy.spec.mode == Mode::Enforce && !policy.spec.suspend && reference::exists(rule, world.now));
            }
        }
    }

    #[test]
    fn narrowing_and_muting_never_wait(world in world(Selects::OnAnything), mut given in given()) {
        given.now = world.now;
        let mut after = world.participant.clone();
        let plan = world.hall().plan_given(&after, &given);
        let decided = reference::decide("hall", &world.policies, None, &after, world.now);
        if decided.get("remove").is_some_and(|decided| decided.wanted == "removed") {
            return Ok(());
        }
        prop_assert!(carry_out(&plan, &mut after, &mut given));
        for (field, decided) in &decided {
            if field == "permission.canPublish" {
                prop_assert!(after.permission.publishing().within(decided.publishing()));
                for track in &after.tracks {
                    let wanted = decided.publishing();
                    let belongs = !matches!(wanted, Publishing::Only(_)) || track.source().is_none_or(|source| wanted.allows(Sources::of(source)));
                    prop_assert!(belongs, "{:?} is not unpublished", track);
                }
            } else if let Some(name) = field.strip_prefix("permission.") {
                let flag = Flag::ALL.into_iter().find(|flag| flag.name() == name).unwrap();
                prop_assert!(decided.wanted == "true" || !flag.of(&after.permission));
            } else if let Some(source) = field.strip_prefix("mute.") && reference::mutes_always(&world.policies, &decided.by) {
                let of_source = |track: &&Track| track.source().is_some_and(|is| format!("{is:?}") == source);
                prop_assert!(after.tracks.iter().filter(of_source).all(|track| track.muted));
            }
        }
    }

    #[test]
    fn permission_comes_before_mutes_and_what_goes_is_not_muted(world in world(Selects::OnAnything), mut given in given()) {
        given.now = world.now;
        let mut participant = world.participant.clone();
        let plan = world.hall().plan_given(&participant, &given);
        let updates = plan.actions.iter().filter(|action| matches!(action, Action::Update(_))).count();
        prop_assert!(updates <= 1, "several changes are one call");
        let mut muted = BTreeSet::new();
        for action in &plan.actions {
            match action {
                Action::Update(_) => prop_assert!(muted.is_empty()),
                Action::Mute { track, .. } => {
                    prop_assert!(participant.tracks.iter().any(|known| known.sid == *track), "{} has gone", track);
                    prop_assert!(muted.insert(track.clone()), "{} twice", track);
                }
                Action::Remove { .. } => {}
            }
            livekit_model::carry_out(&mut participant, action);
        }
    }

    #[test]
    fn until_it_is_time_to_wake_nothing_changes(world in world(Selects::OnAnything), given in given(), fraction in 0.0..1.0_f64) {
        let hall = world.hall();
        let plan = hall.plan_given(&world.participant, &given);
        let until = [plan.wake, hall.line.next_change(given.now)].into_iter().flatten().min();
        prop_assert!(until.is_none_or(|until| until > given.now));
        let span = until.map_or(SignedDuration::from_hours(1000), |until| until.duration_since(given.now));
        let later = given.now + SignedDuration::from_nanos((span.as_nanos() as f64 * fraction) as i64).min(span - SignedDuration::from_nanos(1));
        let then = Given { now: later, removed_at: given.removed_at, can_unmute: given.can_unmute, session: given.session.clone() };
        prop_assert_eq!(hall.plan_given(&world.participant, &then), plan);
    }

    #[test]
    fn a_bad_value_never_keeps_a_right_open(world in world(Selects::OnlyOnWhatNoRuleWrites), bad in 0..4_usize) {
        let hall = world.hall();
        let mut given = at_moment(world.now);
        let mut participant = world.participant.clone();
        let is_bad = |update: &usher::policy::Update| match bad {
            0 => update.name.is_some(),
            1 => update.metadata.is_some(),
            2 => !update.attributes.is_empty(),
            _ => update.name.is_some() || !update.attributes.is_empty(),
        };
        let mut requests = 0;
        // As the engine does it: one request, then another look.
        while let Some(action) = hall.plan_given(&participant, &given).actions.into_iter().next() {
            requests += 1;
            prop_assert!(requests < 20, "goes on and on");
            match &action {
                Action::Update(update) if is_bad(update) => given.session.was_refused(update, "no".into(), given.now),
                action => {
                    if !livekit_model::carry_out(&mut participant, action) {
                        return Ok(());
                    }
                    given.session.carried_out(action, given.now, CORRECTIONS);
                }
            }
        }
        for (field, decided) in reference::decide("hall", &world.policies, None, &participant, world.now) {
            if field == "permission.canPublish" {
                prop_assert_eq!(participant.permission.publishing(), decided.publishing());
            } else if let Some(flag) = Flag::ALL.into_iter().find(|flag| field == format!("permission.{}", flag.name())) {
                prop_assert_eq!(flag.of(&participant.permission).to_string(), decided.wanted);
            } else if field == "metadata" && bad != 1 {
                prop_assert_eq!(&*participant.metadata, &decided.wanted);
            }
        }
    }

    #[test]
    fn what_others_undo_is_corrected_ever_more_rarely(world in world(Selects::OnlyOnWhatNoRuleWrites)) {
        let hall = world.hall();
        let mut given = at_moment(world.now);
        let (mut corrections, minutes) = (BTreeMap::<Field, usize>::new(), 10);
        for second in 0..minutes * 60 {
            given.now = world.now + SignedDuration::from_secs(second);
            // Everything is undone at once.
            for action in hall.plan_given(&world.participant, &given).actions {
                given.session.carried_out(&action, given.now, CORRECTIONS);
                let Action::Update(update) = action else { continue };
                for why in update.why {
                    let narrows = matches!((&why.wanted, &why.seen), (Value::Flag(false), _))
                        || matches!(why.field, Field::Publishing);
                    if !narrows {
                        *corrections.entry(why.field).or_default() += 1;
                    }
                }
            }
        }
        // 5, then pauses of 10, 20, 40, 80, 160, 300 s; twice as many if another rule takes over in between.
        for (field, times) in corrections {
            prop_assert!(times <= 11, "{} corrected {} times in {} minutes", field, times, minutes);
        }
    }
}
