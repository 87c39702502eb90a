//! No link between pages is dead.

use std::{
    fs,
    path::{Path, PathBuf},
};

use usher_testkit::{markdown, repository};

/// Folders that are not ours to check.
const SKIPPED: [&str; 2] = ["target", "node_modules"];

fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && !name.starts_with('.') && !SKIPPED.contains(&name) {
            pages(&path, found);
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
}

/// What is wrong with a link of a page.
fn dead(page: &Path, to: &str) -> Option<String> {
    if to.contains("://") || to.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = to.split_once('#').map_or((to, None), |(file, anchor)| (file, Some(anchor)));
    let target = if file.is_empty() { page.to_owned() } else { page.parent().unwrap().join(file) };
    if !target.exists() {
        return Some(format!("there is no {}", target.display()));
    }
    let anchor = anchor?;
    let markdown = fs::read_to_string(&target).unwrap_or_default();
    let found = markdown::headings(&markdown).iter().any(|heading| heading.anchor == anchor);
    (!found).then(|| format!("{} has no heading #{anchor}", target.display()))
}

#[test]
fn every_relative_link_and_anchor_leads_somewhere() {
    let mut found = Vec::new();
    pages(&repository(), &mut found);
    assert!(found.len() > 20, "{found:?}");
    let mut checked = 0;
    let mut wrong = Vec::new();
    for page in found {
        let text = fs::read_to_string(&page).unwrap();
        for link in markdown::links(&text) {
            checked += 1;
            let place = format!("{}:{}", page.display(), link.line);
            wrong.extend(dead(&page, &link.to).map(|why| format!("{place}: {}: {why}", link.to)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked > 100, "{checked} links");
}

#[test]
fn a_dead_link_is_noticed() {
    let page = repository().join("docs/README.md");
    for good in ["guide.md", "../README.md#measured", "https://livekit.io", "operations.md#condition-reasons"] {
        assert_eq!(dead(&page, good), None, "{good}");
    }
    for bad in ["guide", "nothing.md", "../README.md#nothing", "#nothing"] {
        assert!(dead(&page, bad).is_some(), "{bad}");
    }
}
