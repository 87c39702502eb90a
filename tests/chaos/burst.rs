//! Very many join at once, and webhooks get lost, doubled, late and out of order.

use std::time::Duration;

use serde_json::json;
use usher::simulator::{Join, WebhookFaults};

use crate::{calm, declared::Objects, operator::RESYNC, stage::Stage};

const JOINS: usize = 10_000;
const ROOMS: usize = 200;
/// Every so many are one of these.
const HOSTS: usize = 10;
const TROLLS: usize = 100;

#[tokio::test(start_paused = true)]
async fn ten_thousand_joins_are_as_declared_within_a_resync_interval() {
    let rules = json!([
        {"name": "banned", "match": {"identities": [{"prefix": "troll"}]}, "remove": {}},
        {"name": "hosts", "match": {"attributes": [{"key": "role", "values": [{"exact": "host"}]}]}, "keep": true,
            "set": {"permission": {"canPublish": true}}},
        {"name": "audience", "set": {"permission": {"canPublish": false}}},
    ]);
    let stage = Stage::new(1, |_| Objects::of_rules(rules), false);
    stage.show();
    tokio::time::sleep(Duration::from_secs(7)).await;
    stage.simulator().set_webhook_faults(WebhookFaults {
        lost: 0.2,
        doubled: 0.2,
        late: 0.3,
        delay: Duration::ZERO..=Duration::from_secs(20),
        swapped: 0.3,
    });
    let (mut hosts, mut trolls) = (0, 0);
    for number in 0..JOINS {
        let room = format!("room-{}", number % ROOMS);
        let join = match number {
            _ if number % TROLLS == 1 => Join::new(&room, &format!("troll-{number}")),
            _ if number % HOSTS == 0 => Join::new(&room, &format!("host-{number}")).attribute("role", "host"),
            _ => Join::new(&room, &format!("guest-{number}")),
        };
        hosts += usize::from(!join.attributes.is_empty());
        trolls += usize::from(join.identity.starts_with("troll"));
        stage.simulator().join(join).unwrap();
    }
    // A listing is due a tenth sooner or later than the interval.
    tokio::time::sleep(RESYNC.mul_f64(1.1)).await;
    let open = calm::deviations(&stage);
    assert!(open.is_empty(), "{} of {JOINS} are not as declared, one of them: {:?}", open.len(), open[0]);
    let (_, there) = stage.simulator().counts();
    assert_eq!(there, JOINS - trolls, "nobody else was removed");
    let ledger = stage.shared.ledger();
    assert_eq!(ledger.broken, None);
    assert_eq!(ledger.changed.len(), JOINS - trolls - hosts, "hosts need no request");
    assert_eq!(ledger.writes, JOINS - hosts, "one for each of the others");
}
