//! A thousand policies at once.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use kube::{Api, api::ListParams};
use usher::{api::RoomPolicy, policy::ObjectName};
use usher_testkit::{Cluster, ClusterOptions, eventually};

use crate::room::{Room, list, policy, secret, server};

const POLICIES: usize = 1000;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_policies_make_few_rebuilds_and_one_write_each() {
    let cluster = Cluster::start(ClusterOptions::default()).await;
    cluster.apply_crds().await;
    let namespace = cluster.namespace("burst").await;
    cluster.apply(&list([server(&namespace), secret(&namespace, "hush")])).await;
    let room = Room::of(&cluster, &[]).await;
    let _engine = room.enforce();
    let main = ObjectName::new(&namespace, "main");
    room.policies(&main, &[]).await;
    let (published, writes) = (room.published.load(Ordering::Relaxed), room.writes());

    let policies: Api<RoomPolicy> = Api::namespaced(cluster.client().await, &namespace);
    let started = Instant::now();
    stream::iter(0..POLICIES)
        .for_each_concurrent(16, |number| {
            let (policies, namespace) = (&policies, &namespace);
            async move {
                let object = policy(namespace, &format!("p{number:04}"), namespace);
                let object: RoomPolicy = serde_json::from_value(object).unwrap();
                policies.create(&Default::default(), &object).await.unwrap();
            }
        })
        .await;
    let created = started.elapsed();
    eventually(Duration::from_secs(60), "all in the catalog", async || {
        let catalog = room.now().unwrap();
        let members = catalog.servers[&main].view.policies.members().len();
        if members == POLICIES { Ok(()) } else { Err(members) }
    })
    .await;
    let in_catalog = started.elapsed();
    let ready = async || {
        let all = policies.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
        let ready = all.items.iter().filter(|one| {
            one.status
                .iter()
                .flat_map(|status| &status.conditions)
                .any(|one| one.type_ == "Ready" && one.status == "True")
        });
        let ready = ready.count();
        if ready == POLICIES { Ok(()) } else { Err(format!("{ready} ready")) }
    };
    eventually(Duration::from_secs(60), "all ready", ready).await;
    let all_ready = started.elapsed();
    let rebuilds = room.published.load(Ordering::Relaxed) - published;
    let writes = room.writes() - writes;
    println!(
        "{POLICIES} policies: created in {created:?}, in the catalog after {in_catalog:?}, all ready after \
         {all_ready:?}; {rebuilds} catalogs, {writes} writes of status"
    );
    assert!(rebuilds < 200, "{rebuilds}");
    assert!(writes < 2 * POLICIES as u64, "{writes}");

    // All of them at once, by a list, as after a restart.
    let started = Instant::now();
    let another = Room::of(&cluster, &[]).await;
    another.catalog.clone().wait_for(Option::is_some).await.unwrap();
    let listed = started.elapsed();
    assert_eq!(another.now().unwrap().servers[&main].view.policies.members().len(), POLICIES);
    println!("listed in {listed:?}, in {} catalogs", another.published.load(Ordering::Relaxed));
}
