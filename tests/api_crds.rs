//! The files in `crds/` are what the types say; `make crds` writes them anew.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "what goes wrong here is a failed test")]

use std::{collections::BTreeMap, fs, path::Path};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use usher::api;

fn expected() -> BTreeMap<String, String> {
    api::crd_files().unwrap().into_iter().collect()
}

#[test]
fn the_files_are_up_to_date() {
    let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("crds")).unwrap().map(|file| file.unwrap());
    let found: BTreeMap<_, _> =
        files.map(|file| (file.file_name().into_string().unwrap(), fs::read_to_string(file.path()).unwrap())).collect();
    assert_eq!(found.keys().collect::<Vec<_>>(), expected().keys().collect::<Vec<_>>(), "files in crds/");
    for (name, yaml) in expected() {
        assert!(found[&name] == yaml, "crds/{name} is not what the types say: run make crds and commit");
    }
}

#[test]
fn the_yaml_reads_back_as_the_definitions() {
    let read: Vec<CustomResourceDefinition> = serde_saphyr::from_multiple(&api::crds_yaml().unwrap()).unwrap();
    assert_eq!(read, api::crds());
}

#[test]
fn nothing_in_a_schema_is_left_to_chance() {
    for (name, yaml) in expected() {
        for unwanted in ["nullable", "uint32", "oneOf", "anyOf", "Auto-generated", "[`"] {
            assert!(!yaml.contains(unwanted), "{name} contains {unwanted}");
        }
    }
}
