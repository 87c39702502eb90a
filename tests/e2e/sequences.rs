//! Generated sequences of changes of specs: whatever came before, and however fast, participants end exactly as the last
//! spec says.

use std::{collections::BTreeMap, time::Duration};

use futures::future::join_all;
use kube::{
    Api,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
};
use serde_json::{Map, Value, json};
use tokio::time::sleep;
use usher::api::{LiveKitServer, ParticipantForward, ParticipantMove, RoomPolicy};
use usher_testkit::{Info, Participant, TokenSpec, eventually};

use crate::stage::{AGAIN, Scene, Stage, condition};

/// So many rooms, each with two policies that change at the same time.
const SEQUENCES: usize = 32;
/// So many changes of each policy.
const CHANGES: usize = 10;
/// The seed; another one with `USHER_SEQUENCES_SEED=…`.
const SEED: u64 = 20;

const FLAGS: [&str; 4] = ["canSubscribe", "canPublishData", "canUpdateMetadata", "canSubscribeMetrics"];
const KEYS: [&str; 3] = ["seat", "badge", "hand"];

fn seed() -> u64 {
    std::env::var("USHER_SEQUENCES_SEED").map_or(SEED, |seed| seed.parse().unwrap())
}

/// One policy, of one rule, with any of the fields that a spec may have.
#[derive(Clone, Debug, Default)]
struct Draft {
    priority: Option<i64>,
    audit: bool,
    suspend: bool,
    elsewhere: bool,
    /// Whom the rule matches: everybody, the guest, or another.
    identity: Option<&'static str>,
    except_guest: bool,
    over: bool,
    publish: Option<Vec<&'static str>>,
    flags: BTreeMap<&'static str, bool>,
    metadata: Option<String>,
    name: Option<String>,
    /// With `None` the attribute is removed.
    attributes: BTreeMap<&'static str, Option<String>>,
    mute: bool,
    remove: bool,
}

impl Draft {
    /// Adds, changes or removes one field.
    fn change(&mut self, random: &mut fastrand::Rng) {
        let text = format!("v{}", random.u8(0..4));
        match random.u8(0..14) {
            0 => self.priority = random.bool().then(|| random.i64(-3..4)),
            1 => self.audit = !self.audit,
            2 => self.suspend = !self.suspend,
            3 => self.elsewhere = !self.elsewhere,
            4 => self.identity = *random.choice([None, Some("guest"), Some("another")].iter()).unwrap(),
            5 => self.except_guest = !self.except_guest,
            6 => self.over = !self.over,
            7 => {
                let choices = [None, Some(vec![]), Some(vec!["Camera"]), Some(vec!["Microphone", "ScreenShare"])];
                self.publish = random.choice(choices).unwrap();
            }
            8 => {
                let flag = FLAGS[random.usize(..FLAGS.len())];
                if self.flags.remove(flag).is_none() {
                    self.flags.insert(flag, random.bool());
                }
            }
            9 => self.metadata = random.bool().then_some(text),
            10 => self.name = random.bool().then_some(text),
            11 => {
                let key = KEYS[random.usize(..KEYS.len())];
                if self.attributes.remove(key).is_none() {
                    self.attributes.insert(key, random.bool().then_some(text));
                }
            }
            12 => self.mute = !self.mute,
            _ => self.remove = random.u8(0..4) == 0,
        }
    }

    fn spec(&self, room: &str) -> Value {
        let mut permission: Map<String, Value> =
            self.flags.iter().map(|(flag, value)| ((*flag).to_owned(), json!(value))).collect();
        match self.publish.as_deref() {
            None => {}
            Some([]) => drop(permission.insert("canPublish".to_owned(), json!(false))),
            Some(sources) => drop(permission.insert("canPublishSources".to_owned(), json!(sources))),
        }
        let mut set = Map::new();
        if !permission.is_empty() {
            set.insert("permission".to_owned(), permission.into());
        }
        for (field, value) in [("metadata", &self.metadata), ("name", &self.name)] {
            value.iter().for_each(|value| drop(set.insert(field.to_owned(), json!(value))));
        }
        let (given, removed): (Vec<_>, Vec<_>) = self.attributes.iter().partition(|(_, value)| value.is_some());
        if !given.is_empty() {
            set.insert("attributes".to_owned(), json!(given.into_iter().collect::<BTreeMap<_, _>>()));
        }
        if !removed.is_empty() {
            set.insert("removeAttributes".to_owned(), removed.iter().map(|(key, _)| json!(key)).collect());
        }
        let mut rule = json!({"name": "rule"});
        if self.remove {
            rule["remove"] = json!({});
            rule["match"] = json!({"identities": [{"exact": self.identity.unwrap_or("guest")}]});
        } else {
            if let Some(identity) = self.identity {
                rule["match"] = json!({"identities": [{"exact": identity}]});
            }
            if self.mute {
                rule["mute"] = json!({"sources": ["Microphone"]});
            }
            if set.is_empty() && !self.mute {
                rule["keep"] = json!(true);
            }
            if !set.is_empty() {
                rule["set"] = set.into();
            }
        }
        if self.except_guest {
            rule["except"] = json!([{"identities": [{"prefix": "gue"}]}]);
        }
        if self.over {
            rule["activeUntil"] = json!("2020-01-01T00:00:00Z");
        }
        let room = if self.elsewhere { format!("not-{room}") } else { room.to_owned() };
        let mut spec = json!({"serverRef": {"name": "main"}, "rooms": [{"exact": room}], "rules": [rule]});
        if let Some(priority) = self.priority {
            spec["priority"] = json!(priority);
        }
        if self.audit {
            spec["mode"] = json!("Audit");
        }
        if self.suspend {
            spec["suspend"] = json!(true);
        }
        spec
    }

    fn speaks(&self) -> bool {
        let matches = match self.identity {
            None | Some("guest") => !self.except_guest,
            Some(_) => false,
        };
        matches && !self.over && !self.audit && !self.suspend && !self.elsewhere
    }

    fn keeps(&self) -> bool {
        let nothing = (self.publish.is_none(), self.flags.is_empty(), self.metadata.is_none(), self.name.is_none());
        nothing == (true, true, true, true) && self.attributes.is_empty() && !self.mute
    }
}

/// What the policies say together, put down as simply as the contract has it: for each field, the first that speaks.
#[derive(Debug, Default)]
struct Declared {
    removed: bool,
    publish: Option<Vec<&'static str>>,
    flags: BTreeMap<&'static str, bool>,
    metadata: Option<String>,
    name: Option<String>,
    attributes: BTreeMap<&'static str, Option<String>>,
    muted: bool,
}

impl Declared {
    fn by(mut line: Vec<Draft>) -> Self {
        // Stable: among equals the first of the names.
        line.sort_by_key(|draft| -draft.priority.unwrap_or(0));
        let mut declared = Self::default();
        let mut kept = false;
        for draft in line.into_iter().filter(Draft::speaks) {
            if draft.remove {
                declared.removed |= !kept;
                continue;
            }
            kept |= draft.keeps() && !declared.removed;
            declared.publish = declared.publish.or(draft.publish);
            declared.metadata = declared.metadata.or(draft.metadata);
            declared.name = declared.name.or(draft.name);
            declared.muted |= draft.mute;
            for (flag, value) in draft.flags {
                declared.flags.entry(flag).or_insert(value);
            }
            for (key, value) in draft.attributes {
                declared.attributes.entry(key).or_insert(value);
            }
        }
        declared
    }

    /// Whether a participant is so; tells by a text what is not.
    fn differs(&self, info: &Info) -> Option<String> {
        let permission = &info.permission;
        for (flag, wanted) in &self.flags {
            let seen = match *flag {
                "canSubscribe" => permission.can_subscribe,
                "canPublishData" => permission.can_publish_data,
                "canUpdateMetadata" => permission.can_update_metadata,
                "canSubscribeMetrics" => permission.can_subscribe_metrics,
                other => panic!("{other}?"),
            };
            if seen != *wanted {
                return Some(format!("{flag} is {seen}"));
            }
        }
        if let Some(wanted) = &self.publish {
            let names =
                BTreeMap::from([("Camera", "CAMERA"), ("Microphone", "MICROPHONE"), ("ScreenShare", "SCREEN_SHARE")]);
            let mut seen = permission.can_publish_sources.clone();
            seen.sort();
            let as_wanted = permission.can_publish != wanted.is_empty()
                && (wanted.is_empty() || seen == wanted.iter().map(|source| names[source]).collect::<Vec<_>>());
            if !as_wanted {
                return Some(format!("publishing is {} {seen:?}", permission.can_publish));
            }
        }
        if let Some(wanted) = self.metadata.as_ref().filter(|wanted| **wanted != info.metadata) {
            return Some(format!("metadata is {:?} and not {wanted}", info.metadata));
        }
        if let Some(wanted) = self.name.as_ref().filter(|wanted| **wanted != info.name) {
            return Some(format!("name is {:?} and not {wanted}", info.name));
        }
        for (key, wanted) in &self.attributes {
            if info.attributes.get(*key) != wanted.as_ref() {
                return Some(format!("attribute {key} is {:?} and not {wanted:?}", info.attributes.get(*key)));
            }
        }
        let open = info.tracks.iter().find(|track| self.muted && track.source == "MICROPHONE" && !track.muted);
        open.map(|track| format!("{} is not muted", track.sid))
    }
}

/// The API of a kind in a namespace.
async fn api<K: kube::Resource<DynamicType = ()>>(stage: &Stage) -> Api<DynamicObject> {
    Api::namespaced_with(stage.cluster.client().await, &stage.namespace, &ApiResource::erase::<K>(&()))
}

async fn apply(api: &Api<DynamicObject>, kind: &str, name: &str, spec: Value) {
    let object = json!({
        "apiVersion": "usher.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec,
    });
    let applied = api.patch(name, &PatchParams::apply("sequences").force(), &Patch::Apply(&object)).await;
    applied.unwrap_or_else(|error| panic!("{error}: {object:#}"));
}

/// Waits until what the status says is about the present generation.
async fn observed(api: &Api<DynamicObject>, name: &str) -> Value {
    eventually(AGAIN, &format!("{name} observed"), async || {
        let object = serde_json::to_value(api.get(name).await.unwrap()).unwrap();
        let looked = condition(&object, "Ready").is_some_and(|(_, reason)| reason != "Progressing");
        let observed = object["status"]["observedGeneration"] == object["metadata"]["generation"];
        if looked && observed { Ok(object) } else { Err(object["status"].to_string()) }
    })
    .await
}

/// Two policies of one room change at the same time while a guest is in it.
async fn sequence(stage: &Stage, policies: &Api<DynamicObject>, number: usize) {
    let room = format!("room-{number}");
    let spec = TokenSpec::new(&room, "guest").attribute("language", "en").grant("canUpdateOwnMetadata", false);
    let guest = stage.join(&spec).await;
    let _ = guest.try_publish("audio", "MICROPHONE", "mic").await;
    let names = [format!("{room}-a"), format!("{room}-b")];
    let drafts = join_all(names.iter().enumerate().map(async |(place, name)| {
        let mut random = fastrand::Rng::with_seed(seed() * 1000 + (number * 2 + place) as u64);
        let mut draft = Draft::default();
        for _ in 0..CHANGES {
            draft.change(&mut random);
            apply(policies, "RoomPolicy", name, draft.spec(&room)).await;
            sleep(Duration::from_millis(random.u64(0..400))).await;
        }
        draft
    }))
    .await;
    for name in &names {
        observed(policies, name).await;
    }
    let declared = Declared::by(drafts);
    let context = format!("sequence {number} of seed {}: {declared:?}", seed());
    // Whoever was removed on the way comes back.
    let there = stage.livekit.participant(&room, "guest").await.is_some();
    let guest = if there { guest } else { join_again(stage, &spec).await };
    if declared.removed {
        eventually(AGAIN, &context, async || match stage.livekit.participant(&room, "guest").await {
            None => Ok(()),
            Some(info) => Err(info.to_string()),
        })
        .await;
        return;
    }
    eventually(AGAIN, &context, async || declared.differs(&guest.info()).map_or(Ok(()), Err)).await;
    assert_eq!(guest.info().attributes.get("language").map(String::as_str), Some("en"), "{context}");
}

async fn join_again(stage: &Stage, spec: &TokenSpec) -> Participant {
    eventually(AGAIN, "to be let in", async || {
        let token = stage.livekit.token(spec);
        stage.participants.try_join(&stage.livekit.ws_url(), &token, "guest").await
    })
    .await
}

/// The fields of the server change meanwhile, and end as they were.
async fn server(stage: &Stage) {
    let servers = api::<LiveKitServer>(stage).await;
    let first = serde_json::to_value(servers.get("main").await.unwrap()).unwrap()["spec"].take();
    let changes = [
        json!({"suspend": true}),
        json!({"requests": {"perSecond": 200, "burst": 50}}),
        json!({"requests": {"timeout": "2s", "maxInFlight": 4}}),
        json!({"resyncInterval": "7s"}),
        json!({"access": [{"name": "a", "namespaces": {"names": ["elsewhere"]}, "rooms": [{"prefix": "x-"}]}]}),
        json!({"credentials": {
            "secretRef": {"name": "livekit-keys"},
            "apiKeyKey": "LIVEKIT_API_KEY",
            "apiSecretKey": "LIVEKIT_API_SECRET",
        }}),
        json!({}),
    ];
    for change in changes {
        let mut spec = first.clone();
        for (field, value) in change.as_object().unwrap() {
            spec[field] = value.clone();
        }
        apply(&servers, "LiveKitServer", "main", spec).await;
        sleep(Duration::from_millis(500)).await;
    }
    let last = observed(&servers, "main").await;
    assert_eq!(last["spec"], first, "what is not applied any more is gone");
}

/// The fields of forwards and moves change; the open-source server does neither, so status is all there is to see.
async fn forwards_and_moves(stage: &Stage) {
    let forwards = api::<ParticipantForward>(stage).await;
    let moves = api::<ParticipantMove>(stage).await;
    let server = json!({"name": "main"});
    for source in [
        json!({"rooms": [{"exact": "stage"}]}),
        json!({"rooms": [{"prefix": "stage-"}, {"glob": "s?"}], "match": {"kinds": ["Ingress"]}}),
        json!({"rooms": [{"exact": "stage"}], "except": [{"identities": [{"exact": "shy"}]}], "trustSelfUpdates": true}),
        json!({"rooms": [{"exact": "stage"}], "match": {"attributes": [{"key": "admitted"}]}}),
    ] {
        for more in [
            json!({"destinationRooms": ["one"]}),
            json!({"destinationRooms": ["one", "two"], "deletionPolicy": "Retain"}),
            json!({"destinationRooms": ["two"], "mode": "Audit"}),
            json!({"destinationRooms": ["two"], "suspend": true}),
        ] {
            let mut forward = json!({"serverRef": server, "source": source});
            let mut moving =
                json!({"serverRef": server, "source": source, "destinationRoom": more["destinationRooms"][0]});
            for (field, value) in more.as_object().unwrap() {
                forward[field] = value.clone();
                if field == "mode" || field == "suspend" {
                    moving[field] = value.clone();
                }
            }
            apply(&forwards, "ParticipantForward", "forward", forward).await;
            apply(&moves, "ParticipantMove", "move", moving).await;
            sleep(Duration::from_millis(100)).await;
        }
    }
    observed(&forwards, "forward").await;
    observed(&moves, "move").await;
}

#[tokio::test]
async fn whatever_came_before_the_last_spec_counts() {
    let stage = Stage::with(Scene { resync_interval: Some("5s"), ..Scene::default() }).await;
    let policies = api::<RoomPolicy>(&stage).await;
    let rooms = join_all((0..SEQUENCES).map(|number| sequence(&stage, &policies, number)));
    tokio::join!(rooms, server(&stage), forwards_and_moves(&stage));
}
