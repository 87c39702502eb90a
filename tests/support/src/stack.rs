//! Where the programs of the stack are.

use crate::dir::repository;
use std::path::PathBuf;

/// The path of a program of the stack: `etcd`, `kube-apiserver`, `livekit-server` and so on.
///
/// # Panics
///
/// When it has not been built.
pub fn stack_binary(name: &str) -> PathBuf {
    let directory = match std::env::var_os("USHER_STACK_BIN") {
        Some(directory) => PathBuf::from(directory),
        None => repository().join("target/stack/bin"),
    };
    let path = directory.join(name);
    assert!(path.exists(), "there is no {}: run `make stack`", path.display());
    path
}
