//! The manifests of the demo are manifests for a cluster.

use usher_testkit::{Cluster, scratch};

use crate::program::run;

#[tokio::test]
async fn kubectl_applies_the_folder() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("demo").await;
    let folder = scratch("demo");
    let path = folder.path().to_str().unwrap();
    let ended = run(["demo", "--dir", path, "--duration", "100ms"]).await;
    assert!(ended.status.success(), "{}", ended.stderr);
    let applied = cluster.kubectl(&["apply", "-n", &namespace, "-f", path], None).await.ok();
    for object in [
        "livekitserver.usher.dev/demo",
        "secret/demo-keys",
        "roompolicy.usher.dev/webinar",
        "roompolicy.usher.dev/classroom",
        "roompolicy.usher.dev/hall",
        "roompolicy.usher.dev/names",
        "participantforward.usher.dev/overflow",
        "participantmove.usher.dev/admit",
    ] {
        assert!(applied.contains(&format!("{object} created")), "{object}: {applied}");
    }
    assert_eq!(cluster.kubectl(&["diff", "-n", &namespace, "-f", path], None).await.ok(), "");
}
