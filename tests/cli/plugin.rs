//! `kubectl usher …`, with the real kubectl.

use usher_testkit::{Launch, TestDir, scratch, stack_binary};

use crate::{
    program::{Ended, Program, USHER},
    switch::Stage,
};

/// Runs kubectl with `kubectl-usher` on its path, in a context whose namespace is that of the stage.
async fn kubectl(stage: &Stage, args: &[&str]) -> Ended {
    let folder = scratch("plugin");
    std::os::unix::fs::symlink(USHER, folder.path().join("kubectl-usher")).unwrap();
    let config = folder.path().join("kubeconfig");
    std::fs::copy(stage.cluster.kubeconfig(), &config).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap_or_default());
    let launch = |args: &[&str]| {
        let launch = Launch::new(stack_binary("kubectl"), TestDir::current().log("kubectl")).args(args);
        launch.env("PATH", &path).env("KUBECONFIG", &config).env("HOME", folder.path())
    };
    let namespace = format!("--namespace={}", stage.namespace);
    let set = Program::start(launch(&["config", "set-context", "--current", &namespace])).ended().await;
    assert!(set.status.success(), "{}", set.stderr);
    Program::start(launch(args)).ended().await
}

#[tokio::test]
async fn kubectl_finds_it_and_its_context_counts() {
    let stage = Stage::set().await;
    let said = kubectl(&stage, &["usher", "suspend", "rpol", "quiet"]).await;
    assert!(said.status.success(), "{}", said.stderr);
    assert_eq!(said.stdout, format!("RoomPolicy {}/quiet suspended", stage.namespace));
    assert_eq!(stage.get("rpol", "quiet").await["spec"]["suspend"], true);
    let help = kubectl(&stage, &["usher", "resume", "--help"]).await;
    assert!(help.stdout.contains("Usage: kubectl usher resume"), "{}", help.stdout);
    let wrong = kubectl(&stage, &["usher", "dance"]).await;
    assert_eq!(wrong.status.code(), Some(2), "{}", wrong.stderr);
}
