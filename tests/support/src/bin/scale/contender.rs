//! Who is measured, and how.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use usher_testkit::{Launch, Service, TestDir, cpu, figures::mebibytes, free_port, resident, scratch};

use super::{
    extent::{Extent, PATIENCE},
    floor,
    log::Calls,
    manifests::{self, KEY, LATE, THEN, write_base},
    results::{Outcome, Phase, Usage},
    server::Server,
    truth,
};

/// After this time a start is over.
const SETTLED: Duration = Duration::from_secs(5);

/// Who enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Contender {
    /// The operator, on manifests in files.
    Usher,
    /// The least that can be done.
    Floor,
}

impl Contender {
    /// Both, in the order of the tables.
    pub const ALL: [Self; 2] = [Self::Usher, Self::Floor];

    /// As the command line names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Usher => "usher",
            Self::Floor => "floor",
        }
    }

    /// As the tables name it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Usher => "Usher",
            Self::Floor => "floor",
        }
    }
}

/// A server with who is there at first, and somebody who is to enforce and has not been started.
struct Setting {
    server: Server,
    manifests: PathBuf,
    service: Service,
    /// Where the manifests are, as long as it is held.
    _folder: TempDir,
}

impl Setting {
    async fn of(contender: Contender, usher: &Path, extent: Extent) -> Self {
        let folder = scratch("scale");
        let port = free_port();
        let webhooks = format!("http://127.0.0.1:{port}/webhooks/default/main");
        let server = Server::start(usher, folder.path(), &webhooks, extent).await;
        let manifests = folder.path().join("manifests");
        manifests::write(&manifests, &server.url, extent);
        let service = match contender {
            Contender::Usher => operator(usher, &manifests, port),
            Contender::Floor => floor::receiver(&server.url, port),
        };
        Self { server, manifests, service, _folder: folder }
    }
}

/// Measures one contender on a server of its own.
pub async fn measure(contender: Contender, usher: &Path, extent: Extent) -> Outcome {
    let Setting { _folder, mut server, manifests, service } = Setting::of(contender, usher, extent).await;

    let begun = Timestamp::now();
    let (cold, change);
    match contender {
        Contender::Usher => {
            let from = server.log.calls.len();
            let before = Usage { server_cpu: cpu(server.process.id()), ..Usage::default() };
            service.start_without_waiting();
            server.log.wait_changed(from, "", extent.participants, PATIENCE).await;
            let converged = Usage::of(service.id(), &server);
            let calls = Calls(&server.log.calls[from..]);
            cold = Phase::of("cold", calls, begun, ("", extent.participants), [before, converged]);
            eprintln!("{}: cold: {cold:?}", contender.name());

            let (from, begun) = (server.log.calls.len(), Timestamp::now());
            write_base(&manifests, THEN);
            server.log.wait_changed(from, "", extent.participants, PATIENCE).await;
            let changed = Usage::of(service.id(), &server);
            let calls = Calls(&server.log.calls[from..]);
            change = Phase::of("change", calls, begun, ("", extent.participants), [converged, changed]);
        }
        Contender::Floor => {
            service.start().await;
            (cold, change) = floor::sweep(&mut server, extent).await;
        }
    }
    eprintln!("{}: change: {change:?}", contender.name());

    // What has not been read of the log by then is not of the joins.
    server.log.look();
    let (from, before, begun) = (server.log.calls.len(), Usage::of(service.id(), &server), Timestamp::now());
    server.let_join().await;
    let patience = PATIENCE + Duration::from_secs(extent.seconds as u64);
    server.log.wait_changed(from, LATE, extent.joins(), patience).await;
    let after = Usage::of(service.id(), &server);
    let calls = Calls(&server.log.calls[from..]);
    let joins = Phase::of("joins", calls, begun, (LATE, extent.joins()), [before, after]);
    eprintln!("{}: joins: {joins:?}", contender.name());

    let undeclared = match contender {
        Contender::Usher => Some(truth::undeclared(&server, extent).await),
        Contender::Floor => None,
    };
    let _ = service.terminate(Duration::from_secs(20)).await;
    Outcome { contender, cold, change, joins, undeclared }
}

/// Memory of the operator under all policies with nobody there, in MiB.
pub async fn alone(usher: &Path, extent: Extent) -> f64 {
    let nobody = Extent { participants: 0, ..extent };
    let setting = Setting::of(Contender::Usher, usher, nobody).await;
    setting.service.start().await;
    tokio::time::sleep(SETTLED).await;
    let resident = mebibytes(resident(setting.service.id()));
    let _ = setting.service.terminate(Duration::from_secs(20)).await;
    resident
}

/// The operator, without Kubernetes.
fn operator(usher: &Path, manifests: &Path, port: u16) -> Service {
    let (dir, admin) = (TestDir::current(), format!("127.0.0.1:{}", free_port()));
    let launch = Launch::new(usher, dir.log("usher"))
        .args(["run", "--log-level", "warn", "--http-addr", &format!("127.0.0.1:{port}"), "--admin-addr", &admin])
        .args(["--status-file", "/dev/null", "--from"])
        .arg(manifests);
    Service::program("usher", launch, Some(format!("http://{admin}/readyz")), dir)
}

/// The keys as the environment of a script names them.
pub fn keys(launch: Launch) -> Launch {
    launch.env("LIVEKIT_API_KEY", KEY.0).env("LIVEKIT_API_SECRET", KEY.1)
}
