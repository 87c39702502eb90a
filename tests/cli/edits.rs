//! `usher run --from`: manifests in files, which are edited, rightly and wrongly.

use std::time::Duration;

use usher::simulator::{Edition, Effect, Fault, Method};
use usher_testkit::{eventually, free_port};

use crate::{
    manifests::{QUIET, SECRET, Stage, folder, from, may_publish, object, policy, seat, server},
    program::{Program, SOON, is_ready},
};

const BACK: &str = "rules: [{name: seated, set: {attributes: {seat: back}}}]";
const FRONT: &str = "rules: [{name: seated, set: {attributes: {seat: front}}}]";

#[tokio::test]
async fn what_the_files_say_is_enforced_and_status_is_told() {
    let stage = Stage::set(Edition::OpenSource, &[("policy.yaml", &policy("quiet", QUIET))]).await;
    stage.join("hall", "anna");
    stage.wait_until("hall", "anna", |info| !may_publish(info)).await;
    stage.operator.wait_for(0, "the policy is enforced", |line| is_ready(line, "quiet", "Enforced")).await;
    stage.operator.wait_for(0, "the server answers", |line| is_ready(line, "main", "Enforced")).await;
    let ended = stage.operator.terminate().await;
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(!ended.stdout.contains(SECRET) && !ended.stderr.contains(SECRET));
    assert!(
        ended.stderr.contains("INFO") && !ended.stderr.contains('\x1b'),
        "in a file are no colours: {}",
        ended.stderr
    );
}

#[tokio::test]
async fn a_request_that_is_under_way_is_finished_before_the_end() {
    let stage = Stage::set(Edition::OpenSource, &[("policy.yaml", &policy("quiet", QUIET))]).await;
    stage.join("hall", "bert");
    stage.wait_until("hall", "bert", |info| !may_publish(info)).await;
    let late = Duration::from_millis(1500);
    stage.server.simulator().add_fault(Fault::always(Effect::Latency(late..=late)).on(Method::UpdateParticipant));
    stage.join("hall", "anna");
    tokio::time::sleep(late / 2).await;
    let Stage { server, operator, .. } = stage;
    let ended = operator.terminate().await;
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(!may_publish(&server.simulator().participant("hall", "anna").unwrap()), "{}", ended.stderr);
}

#[tokio::test]
async fn an_edit_acts_and_a_deleted_file_ends_what_it_said() {
    let stage = Stage::set(Edition::OpenSource, &[("policy.yaml", &policy("seats", BACK))]).await;
    stage.join("hall", "anna");
    stage.wait_until("hall", "anna", |info| seat(info) == "back").await;
    let lines = stage.operator.said().len();
    stage.write("policy.yaml", &policy("seats", FRONT));
    stage.wait_until("hall", "anna", |info| seat(info) == "front").await;
    let status = |line: &serde_json::Value| is_ready(line, "seats", "Enforced") && line["generation"] == 2;
    stage.operator.wait_for(lines, "the second generation is enforced", status).await;

    // The other policy waits behind the first, and holds when that is no more.
    stage.write("another.yaml", &policy("third-row", "rules: [{name: row, set: {attributes: {seat: third}}}]"));
    let is_there = |line: &serde_json::Value| line["type"] == "status" && line["name"] == "third-row";
    stage.operator.wait_for(lines, "the other policy is there", is_there).await;
    stage.remove("policy.yaml");
    stage.wait_until("hall", "anna", |info| seat(info) == "third").await;
    let is_gone = |line: &serde_json::Value| line["type"] == "gone" && line["name"] == "seats";
    stage.operator.wait_for(lines, "the first is gone", is_gone).await;
}

#[tokio::test]
async fn a_broken_edit_keeps_what_was_good_and_says_what_is_wrong() {
    let stage = Stage::set(Edition::OpenSource, &[("policy.yaml", &policy("seats", BACK))]).await;
    // What is wrong, on which line of which file, in which field, and what helps.
    let rule = |rule: &str| policy("seats", &format!("\n  rules: [{{name: seated,\n  {rule}}}]"));
    for (text, line, field, remedy) in [
        (rule("set: {attribute: {}}"), 6, "spec.rules[0].set.attribute", "unknown field; here may be: attributes"),
        (rule("mute: {sources: [Mic]}"), 6, "spec.rules[0].mute.sources[0]", "supported values: \"Camera\""),
        (rule("match: {kinds: [Agent]}"), 5, "spec.rules[0]", "give at least one of set, mute, remove and keep"),
        (rule("keep: true, match: {names: [{regex: '('}]}"), 6, "spec.rules[0].match.names[0].regex", ""),
        (policy("seats", BACK).replace("RoomPolicy", "RoomPolice"), 2, "kind", "of usher.dev there are"),
        (policy("seats", BACK).replace("name: seats", "title: seats"), 3, "metadata.name", "Required value"),
    ] {
        let before = stage.operator.said().len();
        stage.write("policy.yaml", &text);
        let broken = stage.operator.wait_for(before, "a mistake is told", |line| line["type"] == "broken").await;
        let mistake = &broken["mistakes"][0];
        let wanted = (Some(line), Some(field));
        assert_eq!((mistake["line"].as_u64(), mistake["field"].as_str()), wanted, "{text}\n{broken:#}");
        assert!(mistake["message"].as_str().unwrap().contains(remedy), "{text}\n{broken:#}");
        assert!(mistake["file"].as_str().unwrap().ends_with("policy.yaml"), "{broken:#}");
    }
    for (text, line, words) in
        [("spec: {a: b", 1, "YAML"), ("a: 1\nb: [\n", 2, "YAML"), ("kind: RoomPolicy\n", 1, "apiVersion and kind")]
    {
        let before = stage.operator.said().len();
        stage.write("policy.yaml", text);
        let broken = stage.operator.wait_for(before, "a mistake is told", |line| line["type"] == "broken").await;
        let mistake = &broken["mistakes"][0];
        assert!(mistake["line"].as_u64().is_some_and(|at| at >= line), "{text}\n{broken:#}");
        assert!(mistake["message"].as_str().unwrap().contains(words), "{broken:#}");
    }
    // Whoever comes meanwhile gets what was good, and what is corrected counts.
    stage.join("hall", "anna");
    stage.wait_until("hall", "anna", |info| seat(info) == "back").await;
    stage.write("policy.yaml", &policy("seats", FRONT));
    stage.wait_until("hall", "anna", |info| seat(info) == "front").await;
}

#[tokio::test]
async fn a_folder_that_vanishes_or_is_emptied_ends_nothing() {
    let stage = Stage::set(Edition::OpenSource, &[("policy.yaml", &policy("quiet", QUIET))]).await;
    let before = stage.operator.said().len();
    stage.remove("policy.yaml");
    stage.remove("server.yaml");
    let broken = stage.operator.wait_for(before, "a mistake is told", |line| line["type"] == "broken").await;
    assert!(broken["mistakes"][0]["message"].as_str().unwrap().contains("no manifest"), "{broken:#}");
    stage.join("hall", "anna");
    stage.wait_until("hall", "anna", |info| !may_publish(info)).await;
}

#[tokio::test]
async fn the_same_object_twice_is_a_mistake() {
    let stage = Stage::set(Edition::OpenSource, &[("a.yaml", &policy("quiet", QUIET))]).await;
    let before = stage.operator.said().len();
    stage.write("b.yaml", &policy("quiet", QUIET));
    let broken = stage.operator.wait_for(before, "a mistake is told", |line| line["type"] == "broken").await;
    let mistake = &broken["mistakes"][0];
    assert!(mistake["message"].as_str().unwrap().contains("a.yaml:1 too"), "{broken:#}");
}

#[tokio::test]
async fn a_sync_by_annotation_is_handled() {
    let stage = Stage::set(Edition::OpenSource, &[("policy.yaml", &policy("quiet", QUIET))]).await;
    let annotated = policy("quiet", QUIET)
        .replace("{name: quiet}\n", "{name: quiet, annotations: {usher.dev/reconcile-requested-at: now}}\n");
    stage.write("policy.yaml", &annotated);
    let is_handled = |line: &serde_json::Value| {
        line["type"] == "status" && line["name"] == "quiet" && line["status"]["lastHandledReconcileAt"] == "now"
    };
    stage.operator.wait_for(0, "the resync is done", is_handled).await;
}

#[tokio::test]
async fn a_policy_before_its_server_says_so() {
    let stage = Stage::set(Edition::OpenSource, &[]).await;
    let elsewhere = object("RoomPolicy", "early", &format!("rooms: [{{exact: hall}}], {QUIET}"));
    stage.write("early.yaml", &elsewhere.replace("name: main", "name: later"));
    stage.operator.wait_for(0, "it is told", |line| is_ready(line, "early", "ServerNotFound")).await;
}

#[tokio::test]
async fn files_that_are_wrong_from_the_beginning_are_refused() {
    let folder = folder();
    std::fs::write(folder.path().join("policy.yaml"), policy("quiet", "rules: []")).unwrap();
    let ended = Program::start(from(folder.path(), free_port())).ended().await;
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.stderr.contains("policy.yaml:4: RoomPolicy default/quiet: spec.rules: should have"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn keys_come_from_the_environment_where_no_secret_is_named() {
    let running = usher::simulator::Running::start(usher::simulator::Options {
        keys: vec![usher::livekit::Credentials::new("devkey", SECRET)],
        ..Default::default()
    })
    .await
    .unwrap();
    let folder = folder();
    let server =
        server(&running.url()).split("---\n").nth(1).unwrap().replace("credentials: {secretRef: {name: keys}}, ", "");
    std::fs::write(folder.path().join("server.yaml"), server).unwrap();
    let status = folder.path().join("status.jsonl");
    let launch = from(folder.path(), free_port()).arg("--status-file").arg(&status);
    let launch = launch.env("LIVEKIT_API_KEY", "devkey").env("LIVEKIT_API_SECRET", SECRET);
    let operator = Program::start(launch);
    eventually(SOON, "the server answers", async || {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok());
        let is = |line: serde_json::Value| is_ready(&line, "main", "NoActiveRooms");
        if lines.into_iter().any(is) { Ok(()) } else { Err(format!("{text}\n{}", operator.log())) }
    })
    .await;
    assert_eq!(operator.said(), Vec::<String>::new());
}
