//! Objects in, values out.

use std::{num::NonZeroU32, time::Duration};

use serde_json::{Value, json};

use super::*;
use crate::{
    api::{LiveKitServer, ParticipantForward, ParticipantMove, Reason, RoomPolicy},
    engine::Server,
    policy::Reach,
};

/// An index that knows of an empty cluster.
fn empty() -> Index {
    empty_for(vec![Scope::Cluster])
}

fn empty_for(scopes: Vec<Scope>) -> Index {
    let mut index = Index::new(scopes.clone(), NonZeroU32::MIN, None);
    for scope in scopes {
        index.reset::<LiveKitServer>(&scope, vec![]);
        index.reset::<RoomPolicy>(&scope, vec![]);
        index.reset::<ParticipantForward>(&scope, vec![]);
        index.reset::<ParticipantMove>(&scope, vec![]);
    }
    index
}

/// With a server livekit/main and its Secret.
fn with_server() -> Index {
    let mut index = empty();
    put::<LiveKitServer>(&mut index, "livekit/main", 1, server());
    index.set_source(&keys("livekit/keys"), secret("devkey", "hush"));
    index
}

fn name(text: &str) -> ObjectName {
    let (namespace, name) = text.split_once('/').unwrap();
    ObjectName::new(namespace, name)
}

fn keys(text: &str) -> Source {
    Source::Secret(name(text))
}

fn secret(key: &str, secret: &str) -> Option<BTreeMap<String, ByteString>> {
    let entry = |name: &str, value: &str| (name.to_owned(), ByteString(value.into()));
    Some([entry("LIVEKIT_API_KEY", key), entry("LIVEKIT_API_SECRET", secret)].into())
}

fn server() -> Value {
    json!({"url": "wss://livekit.example.com", "credentials": {"secretRef": {"name": "keys"}}})
}

/// The server with an access list.
fn server_with(access: Value) -> Value {
    let mut server = server();
    server["access"] = access;
    server
}

fn policy() -> Value {
    json!({"serverRef": {"name": "main", "namespace": "livekit"}, "rooms": [{"exact": "stage"}], "rules": [rule()]})
}

fn rule() -> Value {
    json!({"name": "quiet", "set": {"permission": {"canPublish": false}}})
}

fn broken_policy() -> Value {
    let mut policy = policy();
    policy["rooms"] = json!([{"glob": "[a"}, {"regex": "("}]);
    policy
}

fn forward(to: &str) -> Value {
    json!({
        "serverRef": {"name": "main", "namespace": "livekit"},
        "source": {"rooms": [{"exact": "stage"}]},
        "destinationRooms": [to],
    })
}

fn object(at: &str, generation: i64, spec: Value) -> Value {
    let ObjectName { namespace, name } = name(at);
    json!({
        "metadata": {
            "namespace": &*namespace, "name": &*name, "uid": format!("uid-of-{at}"), "generation": generation,
            "resourceVersion": (100 + generation).to_string(),
        },
        "spec": spec,
    })
}

fn decoded<K: Tables>(object: Value) -> Decoded<K> {
    serde_json::from_value(object).unwrap()
}

fn put<K: Tables>(index: &mut Index, at: &str, generation: i64, spec: Value) -> bool {
    index.apply::<K>(decoded(object(at, generation, spec)))
}

fn verdict(index: &Index, kind: Kind, at: &str) -> Verdict {
    match index.standing(&ObjectId { kind, name: name(at) }).unwrap() {
        Standing::Server(entry) => entry.verdict.clone(),
        Standing::Subject(entry) => entry.verdict.clone(),
    }
}

fn reason(index: &mut Index, kind: Kind, at: &str) -> Option<Reason> {
    index.build();
    verdict(index, kind, at).reason()
}

fn message(index: &mut Index, kind: Kind, at: &str) -> String {
    index.build();
    match verdict(index, kind, at) {
        Verdict::Held(hold) => hold.message,
        Verdict::Acts { notes } => notes.join(" "),
    }
}

fn only(catalog: &Catalog<Client>) -> &Server<Client> {
    assert_eq!(catalog.servers.len(), 1);
    catalog.servers.values().next().unwrap()
}

fn members(catalog: &Catalog<Client>) -> Vec<String> {
    only(catalog).view.policies.members().iter().map(|member| member.policy.name.to_string()).collect()
}

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
fn what_has_not_changed_keeps_its_address() {
    let mut index = with_server();
    put::<RoomPolicy>(&mut index, "livekit/a", 1, policy());
    let first = index.build();
    assert!(!put::<RoomPolicy>(&mut index, "livekit/a", 1, policy()));
    assert!(Arc::ptr_eq(&first, &index.build()));

    put::<RoomPolicy>(&mut index, "livekit/b", 1, policy());
    let second = index.build();
    let (before, after) = (&only(&first).view, &only(&second).view);
    assert!(!Arc::ptr_eq(before, after));
    assert!(Arc::ptr_eq(&before.service, &after.service));
    assert!(Arc::ptr_eq(&only(&first).verifier, &only(&second).verifier));
    assert!(Arc::ptr_eq(&before.policies.members()[0].policy, &after.policies.members()[0].policy));
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
fn an_invalid_policy_says_all_that_is_wrong_and_its_last_valid_generation_stands() {
    let mut index = with_server();
    put::<RoomPolicy>(&mut index, "livekit/a", 1, policy());
    let before = index.build();
    put::<RoomPolicy>(&mut index, "livekit/a", 2, broken_policy());
    assert!(Arc::ptr_eq(&before, &index.build()));
    let said = message(&mut index, Kind::Policy, "livekit/a");
    assert!(said.contains("spec.rooms[0].glob") && said.contains("spec.rooms[1].regex"), "{said}");
    assert!(said.ends_with("; generation 1 stays in force"), "{said}");
    assert_eq!(verdict(&index, Kind::Policy, "livekit/a").reason(), Some(Reason::Invalid));

    put::<RoomPolicy>(&mut index, "livekit/a", 3, policy());
    assert_eq!(reason(&mut index, Kind::Policy, "livekit/a"), None);
}

#[test]
fn a_policy_that_was_never_valid_holds_back_what_comes_below_it() {
    let mut index = with_server();
    put::<RoomPolicy>(&mut index, "livekit/a", 1, policy());
    put::<RoomPolicy>(&mut index, "livekit/broken", 1, broken_policy());
    let line = |index: &mut Index| only(&index.build()).view.policies.line("stage").unwrap();
    assert!(line(&mut index).unknown_from.is_some());
    assert_eq!(members(&index.build()), ["livekit/a"]);
    index.delete::<RoomPolicy>(&name("livekit/broken"));
    assert!(line(&mut index).unknown_from.is_none());

    // The same name, made anew, does not inherit.
    put::<RoomPolicy>(&mut index, "livekit/broken", 1, policy());
    let mut anew = object("livekit/broken", 1, broken_policy());
    anew["metadata"]["uid"] = json!("another");
    index.apply::<RoomPolicy>(decoded(anew));
    assert!(line(&mut index).unknown_from.is_some());
}

#[test]
fn an_object_that_does_not_decode_is_reported_and_holds_back_too() {
    let mut index = with_server();
    put::<RoomPolicy>(&mut index, "livekit/a", 1, policy());
    put::<RoomPolicy>(&mut index, "livekit/strange", 1, json!({"rules": "all"}));
    put::<RoomPolicy>(&mut index, "elsewhere/strange", 1, json!({"rules": "all"}));
    let line = only(&index.build()).view.policies.line("stage").unwrap();
    assert!(line.unknown_from.is_some());
    let said = message(&mut index, Kind::Policy, "livekit/strange");
    assert!(said.starts_with("cannot be read by this version of Usher: "), "{said}");
    assert_eq!(verdict(&index, Kind::Policy, "livekit/strange").reason(), Some(Reason::Invalid));

    index.delete::<RoomPolicy>(&name("livekit/strange"));
    let line = only(&index.build()).view.policies.line("stage").unwrap();
    assert!(line.unknown_from.is_none(), "a namespace without access holds nothing back");
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

#[test]
fn suspension() {
    let mut index = with_server();
    let mut suspended = policy();
    suspended["suspend"] = json!(true);
    put::<RoomPolicy>(&mut index, "livekit/a", 1, suspended);
    put::<RoomPolicy>(&mut index, "livekit/b", 1, policy());
    assert_eq!(members(&index.build()), ["livekit/b"]);
    assert_eq!(verdict(&index, Kind::Policy, "livekit/a").reason(), Some(Reason::Suspended));

    let mut spec = server();
    spec["suspend"] = json!(true);
    put::<LiveKitServer>(&mut index, "livekit/main", 2, spec);
    assert!(only(&index.build()).view.suspended);
    assert_eq!(message(&mut index, Kind::Policy, "livekit/b"), "LiveKitServer livekit/main is suspended.");
}

#[test]
fn access_by_name() {
    let mut index = with_server();
    put::<RoomPolicy>(&mut index, "team-a/p", 1, policy());
    assert_eq!(reason(&mut index, Kind::Policy, "team-a/p"), Some(Reason::NotPermitted));
    assert_eq!(members(&index.build()), [""; 0]);

    let access = json!([
        {"name": "one", "namespaces": {"names": ["team-a"]}, "rooms": [{"prefix": "team-a-"}]},
        {"name": "two", "namespaces": {"names": ["team-a", "team-b"]}, "rooms": [{"exact": "stage"}], "maxPriority": 5},
    ]);
    put::<LiveKitServer>(&mut index, "livekit/main", 2, server_with(access));
    let catalog = index.build();
    assert_eq!(verdict(&index, Kind::Policy, "team-a/p"), Verdict::Acts { notes: vec![] });
    let member = &only(&catalog).view.policies.members()[0];
    let Reach::Granted(grants) = &member.reach else { panic!("{:?}", member.reach) };
    assert_eq!(grants.iter().map(|grant| grant.max_priority).collect::<Vec<_>>(), [0, 5]);
}

#[test]
fn rooms_and_priority_beyond_the_grant_are_named() {
    let mut index = with_server();
    let access = json!([{"name": "one", "namespaces": {"names": ["a"]}, "rooms": [{"prefix": "a-"}]}]);
    put::<LiveKitServer>(&mut index, "livekit/main", 2, server_with(access));
    let mut spec = policy();
    spec["priority"] = json!(100);
    spec["rooms"] =
        json!([{"exact": "a-1"}, {"exact": "b-1"}, {"prefix": "a-x"}, {"prefix": "a"}, {"glob": "a-?"}, {"glob": "*"}]);
    put::<RoomPolicy>(&mut index, "a/p", 1, spec);
    assert_eq!(
        message(&mut index, Kind::Policy, "a/p"),
        "It acts only in rooms that access of its server grants to this namespace (entries one), which does not cover \
         all of: b-1, prefix a, glob *. Priority 100 counts as 0 at most, the maxPriority of its access (entries one)."
    );
}

#[test]
fn access_by_label_follows_the_labels() {
    let mut index = with_server();
    let access = json!([
        {"name": "teams", "namespaces": {"selector": {"matchLabels": {"team": "yes"}}}, "rooms": [{"glob": "*"}]},
    ]);
    put::<LiveKitServer>(&mut index, "livekit/main", 2, server_with(access));
    put::<RoomPolicy>(&mut index, "a/p", 1, policy());
    assert!(index.wanted().namespaces);
    assert!(!index.is_complete());
    assert_eq!(reason(&mut index, Kind::Policy, "a/p"), Some(Reason::Progressing));
    put::<RoomPolicy>(&mut index, "livekit/base", 1, policy());
    let line = only(&index.build()).view.policies.line("stage").unwrap();
    assert!(line.unknown_from.is_some(), "who may yet be permitted holds removals back");

    let labels = |value: &str| BTreeMap::from([("team".to_owned(), value.to_owned())]);
    index.reset_namespaces([("a".to_owned(), labels("no"))].into());
    assert!(index.is_complete());
    assert_eq!(reason(&mut index, Kind::Policy, "a/p"), Some(Reason::NotPermitted));
    index.apply_namespace("a", labels("yes"));
    let before = index.build();
    assert_eq!(members(&before), ["a/p", "livekit/base"]);
    index.apply_namespace("b", labels("yes"));
    assert!(Arc::ptr_eq(&before, &index.build()));
    index.delete_namespace("a");
    assert_eq!(reason(&mut index, Kind::Policy, "a/p"), Some(Reason::NotPermitted));
}

#[test]
fn a_namespaced_install_honours_names_alone_and_says_so() {
    let mut index = empty_for(vec![Scope::Namespace("livekit".into()), Scope::Namespace("a".into())]);
    let access = json!([{"name": "teams", "namespaces": {"selector": {}}, "rooms": [{"glob": "*"}]}]);
    put::<LiveKitServer>(&mut index, "livekit/main", 1, server_with(access));
    index.set_source(&keys("livekit/keys"), secret("devkey", "hush"));
    put::<RoomPolicy>(&mut index, "a/p", 1, policy());
    assert!(!index.wanted().namespaces);
    assert!(index.is_complete());
    assert_eq!(reason(&mut index, Kind::Policy, "a/p"), Some(Reason::NotPermitted));
    let said = message(&mut index, Kind::Server, "livekit/main");
    assert!(said.contains("Access entries teams select by labels, which grants nothing"), "{said}");
}

#[test]
fn forwards_and_moves_are_checked() {
    let mut index = with_server();
    put::<ParticipantForward>(&mut index, "livekit/f", 1, forward("overflow"));
    assert_eq!(reason(&mut index, Kind::Forward, "livekit/f"), None);
    put::<ParticipantForward>(&mut index, "livekit/f", 2, forward("stage"));
    assert!(
        message(&mut index, Kind::Forward, "livekit/f").starts_with("spec.destinationRooms[0] is a source room too")
    );

    let access = json!([{"name": "one", "namespaces": {"names": ["a"]}, "rooms": [{"exact": "stage"}]}]);
    put::<LiveKitServer>(&mut index, "livekit/main", 2, server_with(access));
    put::<ParticipantForward>(&mut index, "a/f", 1, forward("overflow"));
    assert_eq!(reason(&mut index, Kind::Forward, "a/f"), Some(Reason::NotPermitted));
    assert!(message(&mut index, Kind::Forward, "a/f").contains("does not grant destination overflow"));

    let mut spec = json!({
        "serverRef": {"name": "main", "namespace": "livekit"},
        "source": {"rooms": [{"exact": "lobby"}], "match": {"identities": [{"regex": "("}]}},
        "destinationRoom": "stage",
    });
    put::<ParticipantMove>(&mut index, "a/m", 1, spec.clone());
    assert!(message(&mut index, Kind::Move, "a/m").starts_with("spec.source.match.identities[0].regex"));
    spec["source"]["match"] = json!(null);
    put::<ParticipantMove>(&mut index, "a/m", 2, spec);
    assert!(message(&mut index, Kind::Move, "a/m").contains("grants none of the source rooms"));
}

#[test]
fn a_list_replaces_its_scope_and_nothing_else() {
    let scope = |name: &str| Scope::Namespace(name.into());
    let mut index = Index::new(vec![scope("a"), scope("b")], NonZeroU32::MIN, None);
    let one = |at: &str| vec![decoded::<RoomPolicy>(object(at, 1, policy()))];
    index.reset::<RoomPolicy>(&scope("a"), one("a/p"));
    index.reset::<RoomPolicy>(&scope("b"), one("b/p"));
    index.reset::<RoomPolicy>(&scope("a"), vec![]);
    let left: Vec<_> = index.standings().map(|(id, _)| id.name.to_string()).collect();
    assert_eq!(left, ["b/p"]);
    assert!(!index.kinds_are_complete());
}

#[test]
fn who_asks_for_a_resync_gets_one() {
    let mut index = with_server();
    put::<RoomPolicy>(&mut index, "livekit/a", 1, policy());
    let asked = |value: &str, handled: Option<&str>, version: &str| {
        let mut object = object("livekit/a", 1, policy());
        object["metadata"]["annotations"] = json!({"usher.dev/reconcile-requested-at": value});
        object["metadata"]["resourceVersion"] = json!(version);
        object["status"] = json!({"observedGeneration": 1, "lastHandledReconcileAt": handled});
        decoded::<RoomPolicy>(object)
    };
    let request = |index: &mut Index| only(&index.build()).view.resync_request;
    let entry = |index: &Index| match index.standing(&ObjectId { kind: Kind::Policy, name: name("livekit/a") }) {
        Some(Standing::Subject(entry)) => entry.request.clone(),
        _ => panic!(),
    };
    assert_eq!(request(&mut index), 0);
    assert!(index.apply(asked("1", None, "200")));
    assert_eq!(request(&mut index), 1);
    assert_eq!(request(&mut index), 1);
    assert_eq!(entry(&index), Request::Awaited(1));
    index.apply(asked("1", Some("1"), "201"));
    assert_eq!((request(&mut index), entry(&index)), (1, Request::None));
    index.apply(asked("2", Some("1"), "202"));
    assert_eq!((request(&mut index), entry(&index)), (2, Request::Awaited(2)));
    // Nothing is done where the Secret is gone, so that nothing is left to wait for.
    index.set_source(&keys("livekit/keys"), None);
    index.build();
    assert_eq!(entry(&index), Request::Moot);
}

#[test]
fn an_older_version_of_an_object_changes_nothing() {
    let mut index = with_server();
    put::<RoomPolicy>(&mut index, "livekit/a", 5, policy());
    assert!(!put::<RoomPolicy>(&mut index, "livekit/a", 4, broken_policy()));
    assert_eq!(reason(&mut index, Kind::Policy, "livekit/a"), None);
}

#[test]
fn a_thousand_policies_are_built_in_milliseconds() {
    let mut index = with_server();
    for number in 0..1000 {
        let mut spec = policy();
        spec["rooms"] = json!([{"exact": format!("room-{number}")}, {"prefix": format!("p{number}-")}]);
        put::<RoomPolicy>(&mut index, &format!("livekit/p{number}"), 1, spec);
    }
    index.build();
    let started = std::time::Instant::now();
    put::<RoomPolicy>(&mut index, "livekit/p0", 2, policy());
    let catalog = index.build();
    let took = started.elapsed();
    assert_eq!(members(&catalog).len(), 1000);
    println!("one change among 1,000 policies: {took:?}");
    assert!(took < Duration::from_millis(if cfg!(debug_assertions) { 200 } else { 20 }), "{took:?}");
}
