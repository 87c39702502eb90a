//! Several policies on one room.

use std::time::Duration;

use serde_json::Value;
use usher_testkit::{TokenSpec, eventually};

use crate::stage::{A_WHILE, SOON, Stage};

fn policy(namespace: &str, name: &str, server: &str, priority: i32, rules: &str) -> String {
    let rules = rules.replace('\n', "\n  ");
    format!(
        "apiVersion: usher.dev/v1alpha1\nkind: RoomPolicy\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec:\n  \
         serverRef: {{name: main, namespace: {server}}}\n  rooms: [{{prefix: hall-}}]\n  priority: {priority}\n  rules:\n  {rules}\n"
    )
}

fn badge(badge: &str) -> String {
    format!("\n- name: badge\n  set: {{attributes: {{badge: {badge}}}}}")
}

async fn wait(stage: &Stage, namespace: &str, name: &str) {
    let what = format!("roompolicy/{name}");
    stage.cluster.kubectl(&["wait", "--for=condition=Ready", "--timeout=20s", "-n", namespace, &what], None).await.ok();
}

#[tokio::test]
async fn priority_then_the_servers_namespace_then_name_decide_field_by_field() {
    let stage = Stage::set_for_all_namespaces().await;
    let tenant = stage.cluster.namespace("tenant").await;
    let home = stage.namespace.clone();
    stage
        .kubectl(&[
            "patch",
            "livekitserver",
            "main",
            "--type=merge",
            "-p",
            &format!(
                r#"{{"spec":{{"access":[{{"name":"tenant","namespaces":{{"names":["{tenant}"]}},"rooms":[{{"prefix":"hall-"}}],"maxPriority":10}}]}}}}"#
            ),
        ])
        .await;
    let guest = stage.join(&TokenSpec::new("hall-1", "guest")).await;
    let has = |wanted: &'static str| {
        move |info: &usher_testkit::Info| info.attributes.get("badge").is_some_and(|badge| badge == wanted)
    };

    stage.cluster.apply(&policy(&tenant, "a-tenant", &home, 0, &badge("tenant"))).await;
    wait(&stage, &tenant, "a-tenant").await;
    guest.wait_for(SOON, has("tenant")).await;

    // The server's own namespace comes first among equals, whatever the names.
    let two = "\n- name: badge\n  set: {name: Home, attributes: {badge: home}}";
    stage.cluster.apply(&policy(&home, "z-home", &home, 0, two)).await;
    guest.wait_for(SOON, has("home")).await;

    // A higher priority speaks first, for the field that it speaks of.
    stage.cluster.apply(&policy(&tenant, "b-tenant", &home, 5, &badge("urgent"))).await;
    guest.wait_for(SOON, |info| has("urgent")(info) && info.name == "Home").await;
    eventually(Duration::from_secs(10), "Overridden", async || {
        let text =
            stage.cluster.kubectl(&["get", "roompolicy", "a-tenant", "-n", &tenant, "-o", "json"], None).await.ok();
        let policy: Value = serde_json::from_str(&text).expect("JSON");
        let conditions = policy["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let overridden = conditions.iter().find(|condition| condition["type"] == "Overridden");
        match overridden {
            Some(condition) if condition["message"].to_string().contains("b-tenant") => Ok(()),
            _ => Err(text),
        }
    })
    .await;

    // Suspending the winner lets the next speak, deleting that one the third.
    let suspend = r#"{"spec":{"suspend":true}}"#;
    stage
        .cluster
        .kubectl(&["patch", "roompolicy", "b-tenant", "-n", &tenant, "--type=merge", "-p", suspend], None)
        .await
        .ok();
    guest.wait_for(SOON, has("home")).await;
    stage.kubectl(&["delete", "roompolicy", "z-home"]).await;
    guest.wait_for(SOON, has("tenant")).await;
}

#[tokio::test]
async fn keep_protects_from_lower_rules() {
    let stage = Stage::set().await;
    let home = stage.namespace.clone();
    let keep = "\n- name: staff\n  match: {identities: [{prefix: staff-}]}\n  keep: true";
    let remove = "\n- name: everybody\n  match: {identities: [{glob: '*'}]}\n  remove: {}";
    stage.cluster.apply(&policy(&home, "staff", &home, 10, keep)).await;
    wait(&stage, &home, "staff").await;
    let staff = stage.join(&TokenSpec::new("hall-1", "staff-1")).await;
    let guest = stage.join(&TokenSpec::new("hall-1", "guest")).await;
    stage.cluster.apply(&policy(&home, "everybody", &home, 0, remove)).await;
    guest.wait_removed(SOON).await;
    tokio::time::sleep(A_WHILE).await;
    assert!(stage.livekit.participant("hall-1", "staff-1").await.is_some(), "{}", staff.history());
    stage.kubectl(&["delete", "roompolicy", "staff"]).await;
    staff.wait_removed(SOON).await;
}

#[tokio::test]
async fn audit_touches_nobody_and_counts_what_enforce_then_does() {
    let stage = Stage::set().await;
    let home = stage.namespace.clone();
    let rules = "\n- name: quiet\n  match: {identities: [{prefix: guest-}]}\n  set:\n    permission: {canPublish: false}\n    attributes: {seat: back}";
    let mut guests = Vec::new();
    for identity in ["guest-1", "guest-2", "host"] {
        guests.push(stage.join(&TokenSpec::new("hall-1", identity)).await);
    }
    let audit = policy(&home, "quiet", &home, 0, rules).replace("  rules:", "  mode: Audit\n  rules:");
    stage.cluster.apply(&audit).await;
    wait(&stage, &home, "quiet").await;
    let violations = eventually(Duration::from_secs(45), "violations", async || {
        let status = stage.get("roompolicy", "quiet").await["status"].take();
        let ready = status["conditions"].to_string().contains("Audited");
        status["summary"]["violations"].as_u64().filter(|_| ready).ok_or(status.to_string())
    })
    .await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(stage.proxy.writes().len(), 0);
    stage.cluster.apply(&policy(&home, "quiet", &home, 0, rules)).await;
    for guest in &guests[..2] {
        guest.wait_for(SOON, |info| !info.permission.can_publish && info.attributes.contains_key("seat")).await;
    }
    // Two fields of two participants.
    assert_eq!(violations, 4);
    assert_eq!(stage.proxy.writes().len(), 2);
}
