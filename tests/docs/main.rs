//! What the documentation says is what the code does, and its links lead somewhere.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "what goes wrong here is a failed test")]

mod flags;
mod links;
mod metrics;
mod reasons;
mod reference;

use std::fs;

use usher_testkit::repository;

/// The rows of the table below a heading of docs/operations.md, cell by cell, without code marks.
fn table(heading: &str) -> Vec<Vec<String>> {
    let page = fs::read_to_string(repository().join("docs/operations.md")).unwrap();
    let section = page.split(&format!("\n## {heading}\n")).nth(1).unwrap_or_else(|| panic!("no section {heading}"));
    let section = section.split("\n## ").next().unwrap();
    let lines = section.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect();
    lines.take_while(|line| line.starts_with('|')).map(cells).collect()
}
