//! `usher run --from` before the real livekit-server with a real participant.

use usher_testkit::{LiveKit, LiveKitOptions, Participants, TokenSpec, free_port};

use crate::{
    manifests::{QUIET, folder, from, policy},
    program::{Program, SOON, is_ready},
};

#[tokio::test]
async fn what_the_files_say_is_enforced_and_edits_act() {
    let port = free_port();
    let webhooks = vec![format!("http://127.0.0.1:{port}/webhooks/default/main")];
    let livekit = LiveKit::start(LiveKitOptions { webhook_urls: webhooks, ..LiveKitOptions::default() }).await;
    let folder = folder();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("server.yaml", &livekit.manifests("default", &livekit.ws_url(), "1h"));
    write("policy.yaml", &policy("quiet", QUIET));
    let operator = Program::start(from(folder.path(), port));
    operator.wait_for(0, "the server answers", |line| is_ready(line, "main", "NoActiveRooms")).await;

    let participants = Participants::start();
    let anna = participants.join(&livekit, &TokenSpec::new("hall", "anna")).await;
    anna.wait_for(SOON, |info| !info.permission.can_publish).await;
    assert_eq!(anna.try_publish("audio", "MICROPHONE", "voice").await, Err("NOT_ALLOWED".to_owned()));

    write("policy.yaml", &policy("quiet", "rules: [{name: open, set: {permission: {canPublish: true}}}]"));
    anna.wait_for(SOON, |info| info.permission.can_publish).await;
    operator
        .wait_for(0, "the policy is enforced", |line| is_ready(line, "quiet", "Enforced") && line["generation"] == 2)
        .await;
}
