//! What the image promises, as far as it can be shown without a registry: the program runs as some user that nobody
//! has heard of, on a root that cannot be written to and holds nothing but the libraries that the image's base has, with
//! what a kubelet lays beside it.

use std::{fs, path::Path, process::Command};

use serde_json::json;
use usher_testkit::{
    Cluster, ClusterOptions, Container, Launch, Operator, Participants, Release, TestDir, TokenSpec, scratch,
};

use crate::{
    SOON,
    stage::{Run, Stage},
};

/// The shared libraries of `gcr.io/distroless/cc`: those of Debian's libc6, libgcc-s1 and libstdc++6.
const BASE_HAS: [&str; 9] = [
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
    "libc.so.6",
    "libm.so.6",
    "libgcc_s.so.1",
    "libstdc++.so.6",
    "libdl.so.2",
    "libpthread.so.0",
    "librt.so.1",
];

/// Makes the root in a mount namespace of its own, and becomes the program: as a user, with the files of a folder.
const RUN: &str = r#"
user=$1 files=$2 program=$3
shift 3
mount -t tmpfs -o mode=755 tmpfs /mnt
cp -R "$files/." /mnt
mount --bind "$program" /mnt/usr/bin/usher
mount -o remount,ro /mnt
exec setpriv --no-new-privs chroot --userspec="$user:$user" --groups= /mnt /usr/bin/usher "$@"
"#;

/// Who this user is cannot be known before, as on OpenShift. Where the tests run in a user namespace with one user, it
/// is that one.
fn some_user() -> u32 {
    let map = fs::read_to_string("/proc/self/uid_map").expect("it is there");
    let users: u64 = map.split_whitespace().nth(2).expect("it has three columns").parse().expect("it is a number");
    if users > 1_000_000_000 { fastrand::u32(100_000..1_000_000_000) } else { 0 }
}

/// Starts the operator as a container of the image: see this file's own words.
pub async fn start(cluster: &Cluster, namespace: &str, container: &Container) -> Operator {
    let program = env!("CARGO_BIN_EXE_usher");
    let folder = scratch("root");
    let write = |path: &str, content: &[u8]| {
        let path = folder.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("it can be made");
        fs::write(path, content).expect("it can be written");
    };
    for library in libraries(program) {
        write(&library, &fs::read(&library).expect("it can be read"));
        let path = folder.path().join(library.trim_start_matches('/'));
        fs::set_permissions(path, fs::metadata(&library).expect("it is there").permissions()).expect("it is ours");
    }
    write("usr/bin/usher", b"");
    let account = "var/run/secrets/kubernetes.io/serviceaccount";
    let token = cluster.token_for_service_account(namespace, &container.service_account).await;
    for (name, content) in [("token", token.as_str()), ("ca.crt", cluster.ca()), ("namespace", namespace)] {
        write(&format!("{account}/{name}"), content.as_bytes());
    }

    let (host, port) = cluster.url().trim_start_matches("https://").rsplit_once(':').expect("it has a port");
    let dir = TestDir::current();
    let files = folder.path().to_str().expect("the path is text");
    let mut launch = Launch::new("unshare", dir.log("usher"))
        .args(["--mount", "sh", "-eu", "-c", RUN, "sh", &some_user().to_string(), files, program])
        .args(&container.args)
        .env("KUBERNETES_SERVICE_HOST", host)
        .env("KUBERNETES_SERVICE_PORT", port);
    for (name, value) in &container.env {
        launch = launch.env(name, value);
    }
    Operator::start_launch(launch, container, dir).await
}

/// The files of the libraries that the program needs, all of which the base has.
fn libraries(program: &str) -> Vec<String> {
    let said = Command::new("ldd").arg(program).output().expect("ldd can be run");
    let said = String::from_utf8(said.stdout).expect("it is text");
    let path = |line: &str| line.split_whitespace().find(|word| word.starts_with('/')).map(str::to_owned);
    let libraries: Vec<String> = said.lines().filter_map(path).collect();
    assert!(libraries.len() > 2, "{said}");
    for library in &libraries {
        let name = Path::new(library).file_name().and_then(|name| name.to_str()).expect("it has a name");
        assert!(BASE_HAS.contains(&name), "the base of the image lacks {name}");
    }
    libraries
}

#[tokio::test]
async fn the_program_runs_as_anybody_on_a_root_that_cannot_be_written_to() {
    let cluster = Cluster::start(ClusterOptions::default()).await;
    let system = cluster.namespace("usher").await;
    let stage = Stage::set(&cluster, &system, true, Run::Contained).await;
    let proc = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", stage.operator.id())).expect("it is there");
    let status = proc("status");
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel says so");
        line.split_whitespace().collect::<Vec<_>>()
    };
    if some_user() != 0 {
        assert!(field("Uid:").iter().all(|user| user.parse::<u32>().is_ok_and(|user| user >= 100_000)), "{status}");
        assert_eq!(field("CapEff:"), ["0000000000000000"]);
    }
    assert_eq!(field("NoNewPrivs:"), ["1"]);
    let mounts = proc("mountinfo");
    let root = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>()).find(|mount| mount[4] == "/");
    assert!(root.expect("it has a root")[5].starts_with("ro,"), "{mounts}");

    cluster.apply(&stage.livekit.manifests(&stage.namespace, &stage.livekit.url(), "5s")).await;
    let rules = json!([{"name": "quiet", "set": {"permission": {"canPublish": false}}}]);
    let spec = json!({"serverRef": {"name": "main"}, "rooms": [{"exact": "hall"}], "rules": rules});
    stage.apply("RoomPolicy", "house", spec).await;
    stage.wait("Ready", "rpol/house").await;
    let anna = Participants::start().join(&stage.livekit, &TokenSpec::new("hall", "anna")).await;
    anna.wait_for(SOON, |info| !info.permission.can_publish).await;
}

#[test]
fn the_dockerfile_is_what_chart_and_tests_rely_on() {
    let read = |path: &Path| fs::read_to_string(path).expect("it is there");
    let repository = usher_testkit::repository();
    let dockerfile = read(&repository.join("Dockerfile"));
    let has = |line: &str| assert!(dockerfile.lines().any(|candidate| candidate == line), "no {line}");
    has("FROM gcr.io/distroless/cc-debian13:nonroot");
    has(r#"ENTRYPOINT ["/usr/bin/usher"]"#);
    // `runAsNonRoot` of the chart cannot judge a name.
    has("USER 65532:65532");
    let toolchain = read(&repository.join("rust-toolchain.toml"));
    let channel = toolchain.lines().find_map(|line| line.strip_prefix("channel = ")).expect("it has a channel");
    let channel = channel.trim_matches('"');
    has(&format!("FROM rust:{channel}-slim-trixie AS build"));
    assert!(read(&repository.join(".github/workflows/ci.yml")).contains(&format!("rust:{channel}-trixie")));
    let values = read(&Release::chart().join("values.yaml"));
    assert!(values.contains("readOnlyRootFilesystem: true") && values.contains("runAsNonRoot: true"));
}
