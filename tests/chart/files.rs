//! What needs no cluster: the logic of the templates, and files that are made of others.

use std::{path::Path, process::Command};

use usher_testkit::{Release, stack_binary};

/// Runs a program of the stack to its end and answers what it said.
fn run(program: &str, args: &[&str], folder: &Path) -> String {
    let output = Command::new(stack_binary(program)).args(args).current_dir(folder).output().expect("it can be run");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (said, complained) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{program} {args:?}: {said}{complained}");
    said + &complained
}

#[test]
fn the_templates_do_what_their_values_say() {
    let said = run("helm-unittest", &["--strict", "--color=false", "."], &Release::chart());
    assert!(said.contains(" passed"), "{said}");
    let linted = run("helm", &["lint", "--strict", "."], &Release::chart());
    assert!(linted.contains("0 chart(s) failed"), "{linted}");
}

#[test]
fn the_readme_is_what_the_values_say() {
    let chart = Release::chart();
    let folder = tempfile::tempdir().expect("a folder can be made");
    for file in ["Chart.yaml", "values.yaml", "README.md.gotmpl"] {
        std::fs::copy(chart.join(file), folder.path().join(file)).expect("it can be copied");
    }
    run("helm-docs", &["--log-level", "warning"], folder.path());
    let read = |path: &Path| std::fs::read_to_string(path.join("README.md")).expect("it is there");
    assert!(read(folder.path()) == read(&chart), "charts/usher/README.md is old: run make chart and commit");
}

#[test]
fn the_version_of_the_application_is_that_of_the_binary() {
    let chart = std::fs::read_to_string(Release::chart().join("Chart.yaml")).expect("it is there");
    let version = format!("appVersion: {}", env!("CARGO_PKG_VERSION"));
    assert!(chart.lines().any(|line| line == version), "Chart.yaml has not {version}");
}

#[test]
fn every_value_has_a_description_and_a_place_in_the_schema() {
    let readme = std::fs::read_to_string(Release::chart().join("README.md")).expect("it is there");
    let rows: Vec<&str> = readme.lines().filter(|line| line.starts_with("| ") && line.contains(" | `")).collect();
    assert!(rows.len() > 80, "{} values", rows.len());
    for row in rows {
        assert!(!row.ends_with("|  |"), "no description: {row}");
    }
    // Strict all the way down: whatever has fields says that there are no others.
    let schema = std::fs::read_to_string(Release::chart().join("values.schema.json")).expect("it is there");
    let schema: serde_json::Value = serde_json::from_str(&schema).expect("it is JSON");
    let mut open = Vec::new();
    strict(&schema, "", &mut open);
    assert!(open.is_empty(), "these take any field: {open:?}");
}

fn strict(schema: &serde_json::Value, path: &str, open: &mut Vec<String>) {
    let Some(fields) = schema["properties"].as_object() else { return };
    if schema["additionalProperties"] != false {
        open.push(path.to_owned());
    }
    for (name, field) in fields {
        strict(field, &format!("{path}.{name}"), open);
        strict(&field["items"], &format!("{path}.{name}[]"), open);
    }
}
