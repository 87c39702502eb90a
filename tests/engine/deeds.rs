//! What is told of what is done: to whom, by which rule, and how long it took.

use std::time::Duration;

use usher::{
    engine::{Deed, Done},
    policy::{Decision, RuleName, Value},
};

use crate::support::{Fault, Stage, guest, server};

const RULES: &str = "
- {name: banned, match: {identities: [{exact: troll}]}, remove: {}}
- {name: seats, set: {attributes: {seat: front}}}
- {name: quiet, set: {permission: {canPublish: false}, attributes: {seat: back}}}";

fn deeds(stage: &mut Stage) -> Vec<Deed> {
    std::iter::from_fn(|| stage.deeds.try_recv().ok()).collect()
}

fn rule(name: &str) -> RuleName {
    RuleName { policy: usher::policy::ObjectName::new("livekit", "rules"), rule: name.into() }
}

/// Field, wanted value, the rule that decided, and those that it overruled.
fn shown(decision: &Decision) -> (String, String, &RuleName, &[RuleName]) {
    (decision.field.to_string(), decision.wanted.to_string(), &decision.by, &decision.over)
}

#[tokio::test(start_paused = true)]
async fn a_change_is_told_field_by_field_with_the_rule_that_decided_it() {
    let mut stage = Stage::with(RULES).await;
    stage.livekit.fault("update", 1, Fault::Slow(Duration::from_millis(300)));
    stage.join("hall", guest("anna")).await;
    stage.pass_secs(1).await;
    let deeds = deeds(&mut stage);
    let [Deed { server: on, room, identity, what: Done::Changed(decisions), after }] = deeds.as_slice() else {
        panic!("{deeds:?}")
    };
    assert_eq!((on, &**room, &**identity), (&server(), "hall", "anna"));
    assert_eq!(
        decisions.iter().map(shown).collect::<Vec<_>>(),
        [
            ("permission.canPublish".to_owned(), "nothing".to_owned(), &rule("quiet"), &[][..]),
            ("attributes.seat".to_owned(), "front".to_owned(), &rule("seats"), &[rule("quiet")][..]),
        ]
    );
    assert_eq!(decisions[1].seen, Value::Absent);
    let after = after.expect("it was noticed");
    assert!(after >= Duration::from_millis(300) && after < Duration::from_millis(400), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_removal_is_told_with_its_rule_and_what_is_as_declared_is_not_told_of() {
    let mut stage = Stage::with(RULES).await;
    stage.join("hall", guest("troll")).await;
    stage.pass_secs(120).await;
    let told = deeds(&mut stage);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].what, Done::Removed(rule("banned")));
    assert!(told[0].after.is_some());
}
