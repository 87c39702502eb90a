//! What holds for the tallies of any rooms.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use proptest::{collection::vec, prelude::*, sample::Index};
use usher::{
    api::Mode,
    policy::{Member, ObjectName, Participant, PolicySet, PolicyTally, Resolver, RoomTally},
};

use crate::{
    generators::{Selects, participant, world},
    properties::{at_moment, config},
    reference::{self, Declared},
    support::Hall,
};

proptest! {
    #![proptest_config(config())]

    #[test]
    fn tallies_of_rooms_merge_in_any_order(
        policies in world(Selects::OnAnything),
        rooms in vec(vec(participant(), 0..8), 1..5),
        turn in any::<Index>(),
    ) {
        let members: Vec<Member> = policies.policies.iter().map(Declared::member).collect();
        let set = PolicySet::new(members, vec![]);
        let names = ["hall", "other", "hall-2", "h2ll"];
        let tallies: Vec<BTreeMap<ObjectName, PolicyTally>> = (names.iter().zip(&rooms))
            .filter_map(|(name, participants)| Some((*name, set.line(name)?, participants)))
            .map(|(name, line, participants)| tally(name, &Hall { line }, participants, policies.now))
            .collect();
        let mut turned = tallies.clone();
        turned.rotate_left(turn.index(rooms.len()) % tallies.len().max(1));
        let from_left = tallies.iter().cloned().fold(BTreeMap::new(), merge);
        let from_right = tallies.iter().rev().cloned().fold(BTreeMap::new(), |all, one| merge(one, all));
        prop_assert_eq!(&from_left, &from_right, "associative");
        prop_assert_eq!(&from_left, &turned.into_iter().fold(BTreeMap::new(), merge), "commutative");
        for tally in from_left.values() {
            prop_assert!(tally.samples.len() <= 20);
            // An audited one has neither pending nor failed, and at least one violation for each that is not compliant.
            let rest = tally.counts.participants - tally.counts.compliant;
            let accounted = tally.counts.pending + tally.counts.failed;
            prop_assert!(accounted == rest || (accounted == 0 && tally.counts.violations >= rest), "{:?}", tally);
        }
    }

    #[test]
    fn a_tally_counts_what_the_reference_counts(world in world(Selects::OnAnything), others in vec(participant(), 0..30)) {
        let hall = world.hall();
        let everybody: Vec<_> = std::iter::once(world.participant.clone()).chain(others).collect();
        let tallies = tally("hall", &hall, &everybody, world.now);
        for policy in &world.policies {
            let Some(tally) = tallies.get(&ObjectName::new(policy.namespace, &policy.name)) else { continue };
            let name = format!("{}/{}/", policy.namespace, policy.name);
            let audited = (policy.spec.mode == Mode::Audit).then_some(policy);
            let (mut matched, mut decides, mut not_as_declared) = (0, false, 0);
            let mut samples = BTreeSet::new();
            for one in &everybody {
                matched += u32::from(has_a_rule_for(policy, one, world.now));
                let decided = reference::decide("hall", &world.policies, audited, one, world.now);
                decides |= decided.values().any(|decided| decided.by.starts_with(&name));
                // Each alone has room for all of its samples.
                let alone = self::tally("hall", &hall, std::slice::from_ref(one), world.now);
                let alone = &alone[&ObjectName::new(policy.namespace, &policy.name)];
                not_as_declared += alone.counts.pending + alone.counts.failed + alone.counts.violations;
                samples.extend(alone.samples.iter().cloned());
            }
            prop_assert_eq!(tally.counts.participants, matched);
            prop_assert_eq!(tally.decided, decides);
            prop_assert_eq!(tally.counts.pending + tally.counts.failed + tally.counts.violations, not_as_declared);
            prop_assert_eq!(&tally.samples, &samples.into_iter().take(20).collect());
            let sampled: BTreeSet<_> = tally.samples.iter().map(|sample| &sample.identity).collect();
            prop_assert!(sampled.len() <= tally.counts.open(), "who is sampled is counted");
            prop_assert_eq!(tally.overridden_by().is_some(), matched > 0 && !decides);
        }
    }
}

fn tally(room: &str, hall: &Hall, participants: &[Participant], now: Timestamp) -> BTreeMap<ObjectName, PolicyTally> {
    let mut tally = RoomTally::new(room, &hall.line, true);
    let mut resolver = Resolver::default();
    let given = at_moment(now);
    for participant in participants {
        tally.add(&mut resolver, participant, given.circumstances(&hall.line), None);
    }
    tally.into_parts().collect()
}

fn merge(
    mut all: BTreeMap<ObjectName, PolicyTally>,
    one: BTreeMap<ObjectName, PolicyTally>,
) -> BTreeMap<ObjectName, PolicyTally> {
    for (name, tally) in one {
        all.entry(name).or_default().merge(&tally);
    }
    all
}

/// Whether any rule of a policy is about a participant of the hall.
fn has_a_rule_for(policy: &Declared, participant: &Participant, now: Timestamp) -> bool {
    let speaks = !policy.spec.suspend && reference::priority_in("hall", policy).is_some();
    let is_about = |rule| reference::exists(rule, now) && reference::is_about(rule, participant, now);
    speaks && policy.spec.rules.iter().any(is_about)
}
