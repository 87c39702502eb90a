//! Servers, their Secrets and their clients.

use super::*;

#[test]
fn a_server_with_its_secret_is_in_the_catalog_with_its_policies() {
    let mut index = with_server();
    put::<RoomPolicy>(&mut index, "livekit/a", 1, policy());
    let catalog = index.build();
    assert_eq!(members(&catalog), ["livekit/a"]);
    let view = &only(&catalog).view;
    assert!(matches!(view.policies.members()[0].reach, Reach::Home));
    assert_eq!(view.service.address().to_string(), "https://livekit.example.com");
    assert_eq!(view.resync_interval, Duration::from_secs(30));
    assert_eq!(verdict(&index, Kind::Policy, "livekit/a"), Verdict::Acts { notes: vec![] });
    assert_eq!(index.acting(&name("livekit/main")), 1);
}

#[test]
fn a_changed_secret_makes_a_new_client() {
    let mut index = with_server();
    let first = index.build();
    assert!(!index.set_source(&keys("livekit/keys"), secret("devkey", "hush")));
    assert!(index.set_source(&keys("livekit/keys"), secret("devkey", "other")));
    let second = index.build();
    assert!(!Arc::ptr_eq(&only(&first).view.service, &only(&second).view.service));
    assert!(!Arc::ptr_eq(&only(&first).verifier, &only(&second).verifier));
}

#[test]
fn limits_do_not_make_a_new_client() {
    let mut index = with_server();
    let first = index.build();
    let mut spec = server();
    spec["requests"] = json!({"perSecond": 50, "maxInFlight": 4});
    put::<LiveKitServer>(&mut index, "livekit/main", 2, spec);
    let second = index.build();
    assert!(Arc::ptr_eq(&only(&first).view.service, &only(&second).view.service));
    let limits = only(&second).view.limits;
    assert_eq!((limits.rate.unwrap().per_second.get(), limits.rate.unwrap().burst.get()), (50, 100));
    assert_eq!(limits.max_in_flight, 4);
    assert_eq!((only(&first).view.limits.rate, only(&first).view.limits.max_in_flight), (None, 32));
}

#[test]
fn livekit_cloud_is_asked_gently_and_replicas_share() {
    let mut index = Index::new(vec![Scope::Cluster], NonZeroU32::new(2).unwrap(), None);
    let mut spec = server();
    spec["url"] = json!("wss://project.livekit.cloud");
    put::<LiveKitServer>(&mut index, "livekit/main", 1, spec);
    index.set_source(&keys("livekit/keys"), secret("devkey", "hush"));
    let rate = only(&index.build()).view.limits.rate.unwrap();
    assert_eq!((rate.per_second.get(), rate.burst.get()), (6, 12));
}

#[test]
fn what_a_server_lacks_is_its_reason_and_that_of_its_policies() {
    let mut index = empty();
    put::<RoomPolicy>(&mut index, "livekit/a", 1, policy());
    assert_eq!(reason(&mut index, Kind::Policy, "livekit/a"), Some(Reason::ServerNotFound));

    put::<LiveKitServer>(&mut index, "livekit/main", 1, server());
    assert_eq!(index.wanted().sources, [keys("livekit/keys")].into());
    assert!(!index.is_complete());
    assert_eq!(reason(&mut index, Kind::Policy, "livekit/a"), Some(Reason::Progressing));

    index.set_source(&keys("livekit/keys"), None);
    assert!(index.is_complete());
    assert_eq!(reason(&mut index, Kind::Server, "livekit/main"), Some(Reason::SecretNotFound));
    let Verdict::Held(hold) = verdict(&index, Kind::Policy, "livekit/a") else { panic!() };
    assert_eq!((hold.reason, hold.elsewhere), (Reason::SecretNotFound, true));
    assert_eq!(hold.message, "LiveKitServer livekit/main: Secret livekit/keys does not exist.");

    index.set_source(&keys("livekit/keys"), secret("", "hush"));
    assert_eq!(reason(&mut index, Kind::Policy, "livekit/a"), Some(Reason::SecretInvalid));
    assert!(index.build().servers.is_empty());

    index.set_source(&keys("livekit/keys"), secret("devkey", "hush"));
    assert_eq!(reason(&mut index, Kind::Policy, "livekit/a"), None);
}

#[test]
fn no_credentials_in_a_cluster_are_a_missing_secret() {
    let mut index = empty();
    put::<LiveKitServer>(&mut index, "livekit/main", 1, json!({"url": "ws://livekit:7880"}));
    assert_eq!(reason(&mut index, Kind::Server, "livekit/main"), Some(Reason::SecretNotFound));
}

#[test]
fn a_forbidden_secret_names_the_right_to_give() {
    let mut index = empty();
    put::<LiveKitServer>(&mut index, "livekit/main", 1, server());
    index.forbid_source(&keys("livekit/keys"), "system:serviceaccount:usher-system:usher");
    assert!(index.is_complete());
    assert_eq!(
        message(&mut index, Kind::Server, "livekit/main"),
        "Secret livekit/keys may not be read. Permit it with: kubectl -n livekit create role usher-secrets-keys \
         --verb=get,list,watch --resource=secrets --resource-name=keys && kubectl -n livekit create rolebinding \
         usher-secrets-keys --role=usher-secrets-keys --serviceaccount=usher-system:usher"
    );
    index.set_source(&keys("livekit/keys"), secret("devkey", "hush"));
    assert_eq!(reason(&mut index, Kind::Server, "livekit/main"), None);
}

#[test]
fn a_right_that_is_withdrawn_opens_no_room() {
    let mut index = with_server();
    put::<RoomPolicy>(&mut index, "livekit/a", 1, policy());
    let before = index.build();
    index.forbid_source(&keys("livekit/keys"), "usher");
    assert!(Arc::ptr_eq(&before, &index.build()));
    assert_eq!(verdict(&index, Kind::Server, "livekit/main").reason(), Some(Reason::SecretForbidden));
    assert_eq!(verdict(&index, Kind::Policy, "livekit/a").reason(), None);
}

#[test]
fn the_ca_is_part_of_the_client() {
    let mut index = with_server();
    let mut spec = server();
    spec["caBundle"] = json!({"configMapRef": {"name": "ca", "key": "ca.crt"}});
    put::<LiveKitServer>(&mut index, "livekit/main", 2, spec);
    let ca = Source::ConfigMap(name("livekit/ca"));
    assert!(index.wanted().sources.contains(&ca));
    index.set_source(&ca, None);
    assert_eq!(reason(&mut index, Kind::Server, "livekit/main"), Some(Reason::CaBundleNotFound));
    index.set_source(&ca, Some([("ca.crt".to_owned(), ByteString(b"no PEM".to_vec()))].into()));
    assert_eq!(reason(&mut index, Kind::Server, "livekit/main"), Some(Reason::CaBundleInvalid));
    let pem = rcgen::generate_simple_self_signed(["livekit.example.com".to_owned()]).unwrap().cert.pem();
    index.set_source(&ca, Some([("ca.crt".to_owned(), ByteString(pem.into_bytes()))].into()));
    assert_eq!(reason(&mut index, Kind::Server, "livekit/main"), None);
}

#[test]
fn an_invalid_server_works_as_it_last_did() {
    let mut index = with_server();
    put::<RoomPolicy>(&mut index, "livekit/a", 1, policy());
    let before = index.build();
    let mut spec = server();
    spec["url"] = json!("livekit.example.com");
    put::<LiveKitServer>(&mut index, "livekit/main", 2, spec);
    assert!(Arc::ptr_eq(&before, &index.build()));
    assert_eq!(verdict(&index, Kind::Server, "livekit/main").reason(), Some(Reason::Invalid));
    assert_eq!(verdict(&index, Kind::Policy, "livekit/a").reason(), None);
}

#[test]
fn of_two_servers_at_one_place_the_earlier_name_works() {
    let mut index = with_server();
    put::<LiveKitServer>(
        &mut index,
        "events/zz",
        1,
        json!({
            "url": "https://LIVEKIT.example.com:443/", "credentials": {"secretRef": {"name": "keys"}},
        }),
    );
    index.set_source(&keys("events/keys"), secret("devkey", "hush"));
    let catalog = index.build();
    assert!(catalog.servers.contains_key(&name("events/zz")));
    assert_eq!(reason(&mut index, Kind::Server, "livekit/main"), Some(Reason::Conflicted));
    index.set_source(&keys("events/keys"), secret("otherkey", "hush"));
    assert_eq!(reason(&mut index, Kind::Server, "livekit/main"), None);
}
