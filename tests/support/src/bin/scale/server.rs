//! The simulated server, a process of its own.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use livekit_protocol::{ListRoomsRequest, ListRoomsResponse};
use prost::Message;
use usher_testkit::{ApiKey, Launch, PlainClient, Process, TestDir, eventually, free_port};

use super::{
    extent::Extent,
    log::CallLog,
    manifests::{KEY, write_scenario},
};

/// How long a start or an edit may take.
const SOON: Duration = Duration::from_secs(60);

/// A simulated server.
pub struct Server {
    pub process: Process,
    pub url: String,
    pub log: CallLog,
    scenario: PathBuf,
    extent: Extent,
    /// Where its output is, as long as it is held.
    _dir: TestDir,
}

impl Server {
    /// Starts it, and waits until everybody is there who is to be there at first.
    pub async fn start(usher: &Path, folder: &Path, webhooks: &str, extent: Extent) -> Self {
        let (scenario, log) = (folder.join("scenario.yaml"), folder.join("calls.jsonl"));
        write_scenario(&scenario, extent, false);
        let address = format!("127.0.0.1:{}", free_port());
        let dir = TestDir::current();
        let process = Launch::new(usher, dir.log("simulate"))
            .args(["simulate", "-o", "json", "--listen", &address, "--webhook-url", webhooks])
            .args(["--api-key", KEY.0, "--api-secret", KEY.1])
            .arg("--scenario")
            .arg(&scenario)
            .arg("--call-log")
            .arg(&log)
            .start();
        let url = format!("http://{address}");
        let server = Self { process, url, log: CallLog::at(log), scenario, extent, _dir: dir };
        let client = server.client();
        eventually(SOON, "everybody is there", async || {
            let answer = client.call("ListRooms", "", &ListRoomsRequest::default()).await;
            let answer = answer.map_err(|error| error.to_string())?;
            let rooms = ListRoomsResponse::decode(answer).map_err(|error| error.to_string())?.rooms;
            let there: u32 = rooms.iter().map(|room| room.num_participants).sum();
            if there as usize == extent.participants { Ok(()) } else { Err(format!("{there} are there")) }
        })
        .await;
        server
    }

    /// A client of it.
    pub fn client(&self) -> PlainClient {
        PlainClient::new(&self.url, ApiKey::new(KEY.0, KEY.1))
    }

    /// From now on webhooks tell of those who join, as many a second as are to.
    pub async fn let_join(&self) {
        write_scenario(&self.scenario, self.extent, true);
        eventually(SOON, "the scenario is played", async || {
            let said = std::fs::read_to_string(self.process.log()).unwrap_or_default();
            if said.contains("\"type\":\"scenario\"") { Ok(()) } else { Err(said) }
        })
        .await;
    }
}
