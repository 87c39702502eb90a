//! What is declared, and who comes.

use std::{fmt::Write, path::Path};

use serde_json::{Value, json};

use super::extent::Extent;

/// The key of the simulated server.
pub const KEY: (&str, &str) = ("devkey", "a-secret-of-more-than-32-characters-in-all");
/// What identities of those begin with who join while they are enforced.
pub const LATE: &str = "late-";

/// What everybody may do, by the policy for all rooms: first, and after the change that touches everybody.
pub const FIRST: &str = "canPublishData: false";
pub const THEN: &str = "canPublishData: false, canSubscribe: false";

/// Writes the manifests into a folder: the server, the policy for all rooms, and one for each few rooms.
pub fn write(folder: &Path, url: &str, extent: Extent) {
    std::fs::create_dir_all(folder).expect("the folder can be made");
    let (key, secret) = KEY;
    let server = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: keys}}\n\
         stringData: {{LIVEKIT_API_KEY: {key}, LIVEKIT_API_SECRET: {secret}}}\n---\n\
         apiVersion: usher.dev/v1alpha1\nkind: LiveKitServer\nmetadata: {{name: main}}\n\
         spec: {{url: '{url}', credentials: {{secretRef: {{name: keys}}}}}}\n"
    );
    put(folder, "server.yaml", &server);
    write_base(folder, FIRST);
    let mut text = String::new();
    for number in 1..extent.policies {
        let _ = write!(
            text,
            "---
apiVersion: usher.dev/v1alpha1
kind: RoomPolicy
metadata: {{name: rooms-{number:04}}}
spec:
  serverRef: {{name: main}}
  rooms: [{{prefix: 'room-{number:04}-'}}]
  rules:
  - name: hosts
    match: {{attributes: [{{key: role, values: [{{exact: host}}]}}]}}
    set: {{permission: {{canPublish: true}}}}
  - name: guests
    except: [{{attributes: [{{key: role, values: [{{exact: host}}]}}]}}]
    set: {{permission: {{canPublishSources: [Camera]}}, attributes: {{seat: 'block-{number}'}}}}
"
        );
    }
    put(folder, "policies.yaml", &text);
}

/// Writes the policy for all rooms, with what everybody may do.
pub fn write_base(folder: &Path, permission: &str) {
    let text = format!(
        "apiVersion: usher.dev/v1alpha1\nkind: RoomPolicy\nmetadata: {{name: base}}\n\
         spec:\n  serverRef: {{name: main}}\n  rooms: [{{glob: '*'}}]\n  priority: -100\n  rules:\n  \
         - {{name: everybody, set: {{permission: {{{permission}}}}}}}\n"
    );
    put(folder, "base.yaml", &text);
}

/// Who comes: those who are there already, of whom no webhook tells, or beside them those who join.
pub fn write_scenario(path: &Path, extent: Extent, joining: bool) {
    let rooms: Vec<String> = (0..extent.rooms).map(|number| extent.room(number)).collect();
    let roles = |prefix: &str| -> Value {
        json!([
            {"identity": format!("{prefix}host-"), "weight": 1, "attributes": {"role": "host"}},
            {"identity": format!("{prefix}guest-"), "weight": 9},
        ])
    };
    let mut scripts = vec![json!({"rooms": rooms, "participants": extent.participants, "roles": roles("")})];
    if joining {
        scripts.push(json!({
            "rooms": rooms,
            "participants": extent.joins(),
            "joinsPerSecond": extent.joins_per_second,
            "roles": roles(LATE),
        }));
    }
    let lost = if joining { 0 } else { 1 };
    // JSON is YAML.
    let text = json!({"scripts": scripts, "webhooks": {"lost": lost}}).to_string();
    std::fs::write(path, text).expect("the scenario can be written");
}

fn put(folder: &Path, name: &str, text: &str) {
    // In one step, so that nobody reads half of it.
    let written = folder.join(format!(".{name}"));
    std::fs::write(&written, text).and_then(|()| std::fs::rename(&written, folder.join(name))).expect("it is written");
}
