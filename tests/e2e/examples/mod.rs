//! The folders under examples/, applied by the commands of their own READMEs, with real participants that show the
//! effect. What a user applies is what is tested; only names of namespaces and addresses are others.

mod doors;
mod meetings;
mod tenants;
mod transfers;

use std::{collections::BTreeSet, fs, path::PathBuf, time::Duration};

use usher_testkit::{Cluster, Launch, Participant, markdown, repository, scratch, stack_binary};

use crate::stage::{AGAIN, SOON, Scene, Stage};

/// How long the commands of one block may take together.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(120);

fn folder(name: &str) -> PathBuf {
    repository().join("examples").join(name)
}

/// The commands of a README, block by block.
fn commands(example: &str) -> Vec<String> {
    let readme = fs::read_to_string(folder(example).join("README.md")).expect("each example has a README");
    markdown::code_blocks(&readme).into_iter().map(|block| block.code).collect()
}

/// Carries out commands of a README in a shell, as its reader does, in another namespace.
async fn follow(cluster: &Cluster, namespace: &str, commands: &str) {
    let commands = commands.replace("-n livekit", &format!("-n {namespace}"));
    let home = scratch("reader");
    let bin = stack_binary("kubectl");
    let path = bin.parent().map(|bin| bin.display().to_string()).unwrap_or_default();
    let shell = Launch::new("sh", home.path().join("said"))
        .args(["-e", "-c", &format!("PATH={path}:$PATH; cd {}; {commands}", repository().display())])
        .env("KUBECONFIG", cluster.kubeconfig())
        .env("HOME", home.path())
        .start();
    let status = tokio::time::timeout(FOLLOWED_WITHIN, shell.ended()).await;
    let said = fs::read_to_string(home.path().join("said")).unwrap_or_default();
    assert!(status.is_ok_and(|status| status.success()), "{commands}\n{said}");
}

impl Stage {
    /// A stage that lists its rooms often, for what an application changes by LiveKit's API is told by no webhook.
    async fn for_example(name: &str) -> Self {
        let stage = Self::with(Scene { resync_interval: Some("5s"), ..Scene::default() }).await;
        stage.follow(name, 0).await;
        stage
    }

    /// Carries out a block of commands of an example's README.
    async fn follow(&self, name: &str, block: usize) {
        follow(&self.cluster, &self.namespace, &commands(name)[block]).await;
    }

    /// The application sets an attribute of a participant.
    async fn application_sets(&self, room: &str, identity: &str, key: &str, value: &str) {
        self.livekit.update_participant(room, identity, serde_json::json!({"attributes": {key: value}})).await;
    }

    /// Waits for another listing of every room, and for what came of it.
    async fn after_a_resync(&self) {
        let listed = self.proxy.count("ListParticipants");
        self.proxy.wait_for("ListParticipants", listed + 2, AGAIN).await;
    }
}

/// Waits until a participant may publish exactly these sources; none is nothing at all.
async fn may_publish(guest: &Participant, sources: &[&str]) {
    let wanted: BTreeSet<_> = sources.iter().map(|source| (*source).to_owned()).collect();
    guest
        .wait_for(AGAIN, move |info| {
            let seen: BTreeSet<_> = info.permission.can_publish_sources.iter().cloned().collect();
            info.permission.can_publish != wanted.is_empty() && (wanted.is_empty() || seen == wanted)
        })
        .await;
}

async fn publishes(guest: &Participant, source: &str) -> String {
    let media = if source.starts_with("MIC") { "audio" } else { "video" };
    let track = guest.publish(media, source, source).await;
    guest.wait_published(&track, SOON).await;
    track
}

async fn is_refused(guest: &Participant, source: &str) {
    let media = if source.starts_with("MIC") { "audio" } else { "video" };
    assert_eq!(guest.try_publish(media, source, source).await, Err("NOT_ALLOWED".to_owned()), "{}", guest.history());
}

/// A folder that no test applies would be advice that nobody has tried.
#[test]
fn every_folder_is_applied_by_a_test_and_listed() {
    let tests = [
        include_str!("doors.rs"),
        include_str!("meetings.rs"),
        include_str!("tenants.rs"),
        include_str!("transfers.rs"),
    ];
    let index = fs::read_to_string(folder("README.md")).expect("the list of examples");
    let linked: BTreeSet<_> = markdown::links(&index).into_iter().map(|link| link.to).collect();
    let entries = fs::read_dir(folder("")).expect("examples").map(|entry| entry.expect("an entry").path());
    let folders: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    assert!(folders.len() >= 12, "{folders:?}");
    for path in folders {
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        assert!(tests.iter().any(|test| test.contains(&format!("(\"{name}\""))), "no test applies {name}");
        assert!(linked.contains(name), "examples/README.md does not link {name}");
    }
}
