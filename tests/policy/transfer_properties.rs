//! What holds for any forwards and anybody in any room: carried out, they end where the contract says, from wherever
//! they begin, and nothing else changes.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*, sample::select};
use usher::policy::{Participant, TransferMember, TransferSet, Ways, retired_by};

use crate::{
    properties::config,
    support::{alice, noon},
    transfers::forward,
};

const ROOMS: [&str; 4] = ["a", "b", "c", "d"];
const ROLES: [&str; 2] = ["host", "guest"];

/// A forward before it is compiled.
#[derive(Clone, Debug)]
struct Declared {
    sources: BTreeSet<&'static str>,
    role: Option<&'static str>,
    destinations: BTreeSet<&'static str>,
    audit: bool,
    ending: bool,
}

impl Declared {
    fn member(&self, name: &str) -> TransferMember {
        let rooms: Vec<String> = self.sources.iter().map(|room| format!("{{exact: {room}}}")).collect();
        let match_ = self.role.map_or(String::new(), |role| {
            format!(", match: {{attributes: [{{key: role, values: [{{exact: {role}}}]}}]}}")
        });
        let to: Vec<&str> = self.destinations.iter().copied().collect();
        let mode = if self.audit { "Audit" } else { "Enforce" };
        let yaml = format!(
            "source: {{rooms: [{}]{match_}}}\ndestinationRooms: [{}]\nmode: {mode}",
            rooms.join(", "),
            to.join(", ")
        );
        TransferMember { ending: self.ending, ..forward(name, &yaml) }
    }

    fn wants(&self, from: &str, role: &str) -> bool {
        !self.audit && !self.ending && self.sources.contains(from) && self.role.is_none_or(|wanted| wanted == role)
    }
}

/// How one identity is in each room: as itself with a role, or as a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum There {
    Itself(&'static str),
    Copy,
}

type World = BTreeMap<&'static str, There>;

fn participant(there: There) -> Participant {
    let mut participant = alice();
    match there {
        There::Itself(role) => drop(participant.attributes.insert("role".into(), role.into())),
        There::Copy => participant.forwarded = true,
    }
    participant
}

fn rooms(least: usize) -> impl Strategy<Value = BTreeSet<&'static str>> {
    proptest::sample::subsequence(ROOMS.to_vec(), least..=2).prop_map(|rooms| rooms.into_iter().collect())
}

fn declared() -> impl Strategy<Value = Declared> {
    let role = prop_oneof![Just(None), select(&ROLES[..]).prop_map(Some)];
    (rooms(1), role, rooms(1), prop::bool::weighted(0.1), prop::bool::weighted(0.2)).prop_map(
        |(sources, role, to, audit, ending)| {
            // A room that is both is refused.
            let destinations = to.difference(&sources).copied().collect();
            Declared { sources, role, destinations, audit, ending }
        },
    )
}

fn world() -> impl Strategy<Value = World> {
    let there =
        prop_oneof![Just(None), select(&ROLES[..]).prop_map(|role| Some(There::Itself(role))), Just(Some(There::Copy))];
    vec(there, ROOMS.len())
        .prop_map(|all| ROOMS.into_iter().zip(all).filter_map(|(room, one)| Some((room, one?))).collect())
}

/// One round: everything that the planner wants, in the order of rooms.
fn carry_out(set: &TransferSet, world: &mut World) {
    let ways: BTreeMap<&str, Ways> = ROOMS.iter().filter_map(|room| Some((*room, set.ways(room, &[])?))).collect();
    for room in ROOMS {
        let (Some(there), Some(ways)) = (world.get(room), ways.get(room)) else { continue };
        let wishes = ways.wishes(room, &participant(*there), noon());
        for (to, _) in wishes.copies {
            let to = ROOMS.into_iter().find(|room| *room == &**to).expect("a room");
            world.entry(to).or_insert(There::Copy);
        }
    }
    for room in ROOMS {
        if world.get(room) != Some(&There::Copy) {
            continue;
        }
        let everybody: Vec<_> = world.iter().map(|(room, there)| (*room, participant(*there))).collect();
        let others: Vec<_> =
            everybody.iter().filter(|(from, _)| *from != room).map(|(from, one)| (*from, one)).collect();
        if ways.get(room).is_some_and(|ways| retired_by(room, ways, &others, noon()).is_some()) {
            world.remove(room);
        }
    }
}

/// What the contract says of a room, from what was there at first.
fn expected(all: &[Declared], before: &World, room: &str) -> Option<There> {
    let sources = || {
        before.iter().filter_map(|(from, there)| match there {
            There::Itself(role) if *from != room => Some((*from, *role)),
            _ => None,
        })
    };
    // One that ends owns what it made, though it may have become one that only reports.
    let into = || all.iter().filter(|one| one.destinations.contains(room) && (one.ending || !one.audit));
    match before.get(room) {
        Some(There::Itself(role)) => Some(There::Itself(role)),
        _ if sources().any(|(from, role)| into().any(|one| one.wants(from, role))) => Some(There::Copy),
        Some(There::Copy) => {
            let owned = sources().any(|(from, _)| into().any(|one| one.sources.contains(from)));
            (!owned).then_some(There::Copy)
        }
        None => None,
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn copies_are_where_they_are_wanted_and_gone_where_they_were_owned(
        all in vec(declared(), 0..5),
        before in world(),
    ) {
        let members = all.iter().enumerate().map(|(number, one)| one.member(&format!("f{number}"))).collect();
        let set = TransferSet::new(members, vec![]);
        let mut world = before.clone();
        carry_out(&set, &mut world);
        for room in ROOMS {
            prop_assert_eq!(world.get(room).copied(), expected(&all, &before, room), "{}", room);
        }
        let settled = world.clone();
        carry_out(&set, &mut world);
        prop_assert_eq!(world, settled, "a second round has nothing to do");
    }

    #[test]
    fn the_order_of_objects_is_irrelevant(all in vec(declared(), 0..5), turn in any::<prop::sample::Index>(), there in world()) {
        let members: Vec<_> = all.iter().enumerate().map(|(number, one)| one.member(&format!("f{number}"))).collect();
        let mut turned = members.clone();
        if !turned.is_empty() {
            turned.rotate_left(turn.index(members.len()));
        }
        let (one, other) = (TransferSet::new(members, vec![]), TransferSet::new(turned, vec![]));
        for room in ROOMS {
            match (one.ways(room, &[]), other.ways(room, &[])) {
                (None, None) => {}
                (Some(a), Some(b)) => {
                    let shown = |ways: &Ways| {
                        let wishes = there.get(room).map(|there| {
                            let participant = participant(*there);
                            let wishes = ways.wishes(room, &participant, noon());
                            format!("{:?}", (wishes.copies.iter().map(|(to, by)| (to, &by.id)).collect::<Vec<_>>(), wishes.declined))
                        });
                        format!("{wishes:?} {:?}", ways.copies.iter().map(|one| &one.id).collect::<Vec<_>>())
                    };
                    prop_assert_eq!(shown(&a), shown(&b));
                }
                _ => prop_assert!(false, "{} is concerned in one order only", room),
            }
        }
    }
}
