//! docs/reference is what the code says; `make reference` writes it anew.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use usher_testkit::{repository, scratch};

fn pages(folder: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let read =
        |entry: fs::DirEntry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap());
    entries.map(read).collect()
}

#[test]
fn the_reference_is_up_to_date() {
    let folder = scratch("reference");
    let mut command = Command::new(env!("CARGO_BIN_EXE_usher"));
    let status = command.args(["crd", "--format=markdown", "--output-dir"]).arg(folder.path()).status().unwrap();
    assert!(status.success());
    let (expected, found) = (pages(folder.path()), pages(&repository().join("docs/reference")));
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    assert_eq!(expected.len(), 4);
    for (name, page) in &expected {
        assert!(found[name] == *page, "docs/reference/{name} is not what the code says: run make reference and commit");
    }
}

/// Every field of the schema stands somewhere, with a meaning.
#[test]
fn no_field_is_without_a_meaning() {
    for (name, text) in pages(&repository().join("docs/reference")) {
        let empty: Vec<_> = text.lines().filter(|line| line.starts_with('|') && line.ends_with("|  |")).collect();
        assert!(empty.is_empty(), "{name}: {empty:#?}");
    }
}
