//! kubectl does with our objects what a person expects.

use usher_testkit::CommandOutput;

use crate::stage::{Stage, condition};

impl Stage {
    async fn try_kubectl(&self, args: &[&str], stdin: &str) -> CommandOutput {
        self.cluster.kubectl(&[args, &["-n", &self.namespace]].concat(), Some(stdin)).await
    }
}

/// One object of each kind, with most of what a spec may say.
fn everything(stage: &Stage) -> Vec<String> {
    let namespace = &stage.namespace;
    let object = |kind: &str, name: &str, spec: &str| {
        format!(
            "apiVersion: usher.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec:\n  \
             serverRef: {{name: main}}{}\n",
            spec.replace('\n', "\n  ")
        )
    };
    let server = stage.livekit.manifests(namespace, &stage.proxy.url(), "1h");
    let mut objects: Vec<_> = server.split("---\n").map(str::to_owned).collect();
    objects.push(object("RoomPolicy", "house", HOUSE));
    objects.push(object(
        "ParticipantForward",
        "overflow",
        "\nsource: {rooms: [{exact: town-hall}]}\ndestinationRooms: [overflow-1, overflow-2]",
    ));
    objects.push(object(
        "ParticipantMove",
        "admit",
        "\nsource: {rooms: [{exact: lobby}], match: {identities: [{prefix: admitted-}]}}\ndestinationRoom: town-hall",
    ));
    objects
}

const HOUSE: &str = "
rooms: [{exact: town-hall}, {prefix: hall-}]
priority: 10
rules:
- name: banned
  match:
    identities: [{exact: troll}]
  remove: {}
- name: audience
  except:
  - identities: [{prefix: moderator-}]
  set:
    permission: {canPublishSources: [Camera]}
    attributes: {seat: audience}
    removeAttributes: [raised-hand]
  mute: {sources: [Camera]}";

#[tokio::test]
async fn a_list_is_applied_shown_compared_and_deleted() {
    let stage = Stage::set().await;
    let items: String =
        (everything(&stage).iter()).map(|object| format!("- {}\n", object.trim_end().replace('\n', "\n  "))).collect();
    let list = format!("apiVersion: v1\nkind: List\nitems:\n{items}");
    stage.try_kubectl(&["apply", "-f", "-"], &list).await.ok();
    stage.kubectl(&["wait", "--for=condition=Ready", "--timeout=20s", "roompolicy/house", "livekitserver/main"]).await;

    // Neither defaults nor status are a difference, nor is applying it again a change. Not of the list: kubectl itself
    // writes the annotation of what was last applied otherwise in a list.
    let documents = everything(&stage).join("---\n");
    stage.try_kubectl(&["apply", "-f", "-"], &documents).await.ok();
    assert_eq!(stage.try_kubectl(&["diff", "-f", "-"], &documents).await.ok(), "");
    for line in stage.try_kubectl(&["apply", "-f", "-"], &documents).await.ok().lines() {
        // A Secret's stringData is written by every apply.
        assert!(line.ends_with("unchanged") || line.starts_with("secret/"), "{line}");
    }

    let all = stage.kubectl(&["get", "usher"]).await;
    for name in ["livekitserver.usher.dev/main", "roompolicy.usher.dev/house", "participantforward.usher.dev/overflow"]
    {
        assert!(all.contains(name), "{all}");
    }
    for (short, name) in [("lks", "main"), ("rpol", "house"), ("pfwd", "overflow"), ("pmov", "admit")] {
        let line = stage.kubectl(&["get", short]).await;
        assert!(line.contains(name) && line.contains("READY") && line.contains("REASON"), "{line}");
    }
    let described = stage.kubectl(&["describe", "rpol", "house"]).await;
    for part in ["Conditions:", "NoActiveRooms", "Observed Generation:", "raised-hand"] {
        assert!(described.contains(part), "{part}: {described}");
    }
    let explained = stage.kubectl(&["explain", "roompolicy.spec.rules.mute"]).await;
    assert!(explained.contains("DESCRIPTION") && explained.contains("repeat"), "{explained}");

    stage.try_kubectl(&["delete", "--timeout=20s", "-f", "-"], &list).await.ok();
    assert_eq!(stage.kubectl(&["get", "usher", "-o", "name"]).await, "");
}

#[tokio::test]
async fn two_managers_share_a_policy_rule_by_rule() {
    let stage = Stage::set().await;
    let namespace = stage.namespace.clone();
    let policy = |rules: &str| {
        format!(
            "apiVersion: usher.dev/v1alpha1\nkind: RoomPolicy\nmetadata: {{name: shared, namespace: {namespace}}}\nspec:\n  \
             serverRef: {{name: main}}\n  rooms: [{{prefix: hall-}}]\n  rules: {rules}\n"
        )
    };
    let apply = async |manager: &str, rules: &str| {
        let manager = format!("--field-manager={manager}");
        stage.try_kubectl(&["apply", "--server-side", &manager, "-f", "-"], &policy(rules)).await
    };
    apply("stage", "[{name: quiet, set: {permission: {canPublish: false}}}]").await.ok();
    apply("front", "[{name: seat, set: {attributes: {seat: back}}}]").await.ok();
    let names = async || stage.kubectl(&["get", "rpol", "shared", "-o", "jsonpath={.spec.rules[*].name}"]).await;
    assert_eq!(names().await, "quiet seat");
    // Each changes its own, and not that of the other.
    apply("front", "[{name: seat, set: {attributes: {seat: front}}}]").await.ok();
    let refused = apply("front", "[{name: quiet, set: {permission: {canPublish: true}}}]").await.refused();
    assert!(refused.contains("conflict") && refused.contains("stage"), "{refused}");
    stage.wait("roompolicy", "shared", "Ready").await;
    // The operator's own writes own status alone, so that nobody ever conflicts with them.
    let managed = stage.kubectl(&["get", "rpol", "shared", "-o", "json", "--show-managed-fields"]).await;
    let object: serde_json::Value = serde_json::from_str(&managed).unwrap();
    let ours: Vec<_> = object["metadata"]["managedFields"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["manager"] == "usher")
        .collect();
    assert!(!ours.is_empty());
    for entry in ours {
        assert_eq!(entry["subresource"], "status", "{entry:#}");
    }
    assert!(condition(&object, "Ready").is_some());
    // Whoever applies nothing of a rule any more takes it away.
    apply("front", "[{name: other, set: {name: Guest}}]").await.ok();
    assert_eq!(names().await, "quiet other");
}

#[tokio::test]
async fn server_ref_stays_what_it_is() {
    let stage = Stage::set().await;
    stage.try_kubectl(&["apply", "-f", "-"], &everything(&stage).join("---\n")).await.ok();
    for object in ["rpol/house", "pfwd/overflow", "pmov/admit"] {
        let patch = "{\"spec\":{\"serverRef\":{\"name\":\"other\"}}}";
        let refused = stage.try_kubectl(&["patch", object, "--type=merge", "-p", patch], "").await.refused();
        assert!(refused.contains("serverRef") && refused.contains("immutable"), "{refused}");
    }
}
