//! A folder of manifests and the operator that reads it, before a simulated server.

use std::path::{Path, PathBuf};

use livekit_protocol::ParticipantInfo;
use tempfile::TempDir;
use usher::{
    livekit::Credentials,
    simulator::{Edition, Join, Options, Running},
};
use usher_testkit::{Launch, eventually, free_port, scratch};

use crate::program::{Program, SOON, launch};

/// The secret of the simulated server.
pub(crate) const SECRET: &str = "a-secret-of-more-than-32-characters-in-all";

/// Rules by which nobody may publish.
pub(crate) const QUIET: &str = "rules: [{name: quiet, set: {permission: {canPublish: false}}}]";

/// A folder, a simulated server, and the operator.
pub(crate) struct Stage {
    folder: TempDir,
    pub(crate) server: Running,
    pub(crate) operator: Program,
}

/// A folder for manifests.
pub(crate) fn folder() -> TempDir {
    scratch("manifests")
}

/// How the operator is started on a folder.
pub(crate) fn from(folder: &Path, port: u16) -> Launch {
    launch([
        "run",
        "--from",
        folder.to_str().unwrap(),
        "--http-addr",
        &format!("127.0.0.1:{port}"),
        "--admin-addr",
        "127.0.0.1:0",
    ])
}

/// A LiveKitServer `main` and its Secret.
pub(crate) fn server(url: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: keys}}\nstringData: {{LIVEKIT_API_KEY: devkey, \
         LIVEKIT_API_SECRET: {SECRET}}}\n---\napiVersion: usher.dev/v1alpha1\nkind: LiveKitServer\nmetadata: {{name: \
         main}}\nspec: {{url: \"{url}\", credentials: {{secretRef: {{name: keys}}}}, resyncInterval: 5s}}\n"
    )
}

/// A RoomPolicy for the rooms that begin with `hall`.
pub(crate) fn policy(name: &str, rules: &str) -> String {
    object("RoomPolicy", name, &format!("rooms: [{{prefix: hall}}], {rules}"))
}

/// An object on server `main`.
pub(crate) fn object(kind: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: usher.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{serverRef: {{name: main}}, \
         {spec}}}\n"
    )
}

impl Stage {
    /// With these files beside `server.yaml`.
    pub(crate) async fn set(edition: Edition, files: &[(&str, &str)]) -> Self {
        let port = free_port();
        let server_options = Options {
            keys: vec![Credentials::new("devkey", SECRET)],
            edition,
            webhook_urls: vec![format!("http://127.0.0.1:{port}/webhooks/default/main")],
            ..Options::default()
        };
        let running = Running::start(server_options).await.unwrap();
        let folder = folder();
        std::fs::write(folder.path().join("server.yaml"), server(&running.url())).unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let operator = Program::start(from(folder.path(), port));
        operator.wait_for(0, "the manifests are in force", |line| line["type"] == "loaded").await;
        Self { folder, server: running, operator }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn remove(&self, name: &str) {
        std::fs::remove_file(self.path(name)).unwrap();
    }

    pub(crate) fn join(&self, room: &str, identity: &str) {
        self.server.simulator().join(Join::new(room, identity)).unwrap();
    }

    /// Waits until a participant is as wanted.
    pub(crate) async fn wait_until(&self, room: &str, identity: &str, is: impl Fn(&ParticipantInfo) -> bool) {
        eventually(SOON, &format!("{identity} in {room}"), async || {
            match self.server.simulator().participant(room, identity) {
                Some(info) if is(&info) => Ok(()),
                info => Err(format!("{info:?}\n{}", self.operator.log())),
            }
        })
        .await;
    }

    /// Waits until these are in a room.
    pub(crate) async fn wait_for_people(&self, room: &str, wanted: &[&str]) {
        eventually(SOON, &format!("{wanted:?} in {room}"), async || {
            let seen = self.server.simulator().participants(room);
            let seen: Vec<_> = seen.iter().map(|info| info.identity.as_str()).collect();
            if seen == wanted { Ok(()) } else { Err(format!("{seen:?}\n{}", self.operator.log())) }
        })
        .await;
    }
}

/// Whether somebody may publish.
pub(crate) fn may_publish(info: &ParticipantInfo) -> bool {
    info.permission.as_ref().is_some_and(|permission| permission.can_publish)
}

/// An attribute of somebody.
pub(crate) fn seat(info: &ParticipantInfo) -> &str {
    info.attributes.get("seat").map_or("", String::as_str)
}
