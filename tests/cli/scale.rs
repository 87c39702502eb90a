//! The bench of `make scale`, small: whether everything is done, and nothing twice; not how fast.

use std::path::Path;

use usher_testkit::{Launch, TestDir};

use crate::program::{Program, USHER};

#[tokio::test]
async fn everybody_is_as_declared_by_one_change_each() {
    let bench = Path::new(USHER).with_file_name("scale");
    assert!(bench.exists(), "{}: cargo build --workspace --bins makes it", bench.display());
    let launch = Launch::new(bench, TestDir::current().log("scale")).args([USHER, "--small"]);
    let ended = Program::start(launch).ended().await;
    assert!(ended.status.success(), "{}\n{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("everybody is as declared, by one change each"), "{}", ended.stdout);
}
