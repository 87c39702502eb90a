//! `usher demo`.

use std::collections::HashSet;

use serde_json::Value;
use usher_testkit::{Launch, TestDir, eventually, scratch};

use crate::program::{Program, SOON, USHER, launch, run};

fn is_deed(did: &'static str, by: &'static str) -> impl Fn(&Value) -> bool {
    move |line| line["type"] == "deed" && line["did"] == did && line["by"][0] == by
}

/// Everything that the README says one sees: enforcement, an edit, a broken edit, and the end.
#[tokio::test]
async fn it_enforces_and_edits_act_and_broken_ones_do_not() {
    let folder = scratch("demo");
    let dir = folder.path().join("manifests");
    let path = dir.to_str().unwrap();
    let demo = Program::usher(["demo", "--dir", path, "-o", "json"]);
    let started = demo.wait_for(0, "it has started", |line| line["type"] == "started").await;
    assert_eq!(started["folder"], path);
    for (did, by) in [
        ("changed", "default/webinar/guests"),
        ("changed", "default/classroom/quiet"),
        ("forwarded", "default/overflow"),
        ("moved", "default/admit"),
        ("changed", "default/hall/seated"),
    ] {
        demo.wait_for(0, by, is_deed(did, by)).await;
    }
    let changed = demo.wait_for(0, "a change", is_deed("changed", "default/webinar/guests")).await;
    let publishing = &changed["fields"][0];
    assert_eq!((&publishing["field"], &publishing["wanted"]), (&"permission.canPublish".into(), &"[Camera]".into()));
    assert!(changed["afterMs"].as_f64().unwrap() > 0.0, "{changed}");
    let summary = demo.wait_for(0, "a summary", |line| line["type"] == "summary" && line["medianMs"].is_number()).await;
    let number = |field: &str| summary[field].as_f64().unwrap();
    assert!(number("slowestMs") >= number("medianMs") && number("medianMs") > 0.0, "{summary}");
    // One request for each thing that was done, and no other that changes anything; what is just under way may be ahead.
    assert!((0.0..=5.0).contains(&(number("requestsToAct") - number("done"))), "{summary}");

    let file = dir.join("webinar.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let before = demo.said().len();
    std::fs::write(&file, text.replace("{seat: back}", "{seat: balcony}")).unwrap();
    let is_edited = |line: &Value| {
        let fields = line["fields"].as_array().cloned().unwrap_or_default();
        line["type"] == "deed" && fields.iter().any(|field| field["wanted"] == "balcony" && field["seen"] == "back")
    };
    demo.wait_for(before, "the edit acts", is_edited).await;

    let before = demo.said().len();
    std::fs::write(&file, text.replace("canPublishSources", "canPublishSorces")).unwrap();
    let broken = demo.wait_for(before, "the broken edit is told", |line| line["type"] == "broken").await;
    let mistake = &broken["mistakes"][0];
    assert_eq!(mistake["field"], "spec.rules[2].set.permission.canPublishSorces", "{broken}");
    assert!(mistake["line"].as_u64().is_some() && mistake["file"] == file.to_str().unwrap(), "{broken}");
    // What was good stays in force for who comes now.
    let before = demo.said().len();
    let is_good = |line: &Value| {
        let fields = line["fields"].as_array().cloned().unwrap_or_default();
        fields.iter().any(|field| field["wanted"] == "balcony" && field["seen"] == "absent")
    };
    demo.wait_for(before, "the edit before stays in force", is_good).await;

    let ended = demo.terminate().await;
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(ended.stdout.lines().last().unwrap().contains("\"type\":\"summary\""), "{}", ended.stdout);
}

#[tokio::test]
async fn it_ends_after_its_time_and_leaves_edits_alone() {
    let folder = scratch("demo");
    let path = folder.path().to_str().unwrap();
    let ended = run(["demo", "--dir", path, "--duration", "3s"]).await;
    assert!(ended.status.success(), "{}", ended.stderr);
    // Lines for people, for standard output is no terminal.
    let lines: Vec<_> = ended.stdout.lines().collect();
    assert!(lines[0].starts_with("LiveKit Cloud, simulated, on http://127.0.0.1:"), "{}", ended.stdout);
    assert!(lines.iter().any(|line| line.contains(" by webinar/guests, ")), "{}", ended.stdout);
    assert!(lines.last().unwrap().contains(" requests to act, "), "{}", ended.stdout);

    let classroom = folder.path().join("classroom.yaml");
    std::fs::write(&classroom, "# Mine.\n").unwrap();
    std::fs::remove_file(folder.path().join("names.yaml")).unwrap();
    let ended = run(["demo", "--dir", path, "--duration", "100ms", "-o", "json"]).await;
    assert!(ended.status.success(), "{}", ended.stderr);
    assert_eq!(std::fs::read_to_string(&classroom).unwrap(), "# Mine.\n");
    let there: HashSet<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!there.contains(std::ffi::OsStr::new("names.yaml")), "{there:?}");

    std::fs::write(&classroom, "kind: RoomPolicy\n").unwrap();
    let ended = run(["demo", "--dir", path, "--duration", "100ms"]).await;
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("classroom.yaml:1: "), "{}", ended.stderr);
}

#[tokio::test]
async fn it_ends_when_nobody_reads() {
    let folder = scratch("demo");
    let script = format!("{USHER} demo --dir {} | head -3", folder.path().display());
    let shell = Launch::new("sh", TestDir::current().log("sh")).args(["-c", &script]);
    let ended = Program::start(shell).ended().await;
    assert!(ended.status.success(), "{}", ended.stderr);
    assert_eq!(ended.stdout.lines().count(), 3, "{}", ended.stdout);
}

/// On a terminal, which `script` provides.
fn on_a_terminal(folder: &std::path::Path) -> Program {
    let command = format!("stty rows 24 cols 80; exec {USHER} demo --dir {}", folder.display());
    let launch = Launch::new("script", TestDir::current().log("script")).args(["-qefc", &command, "/dev/null"]);
    Program::start(launch.env("TERM", "xterm-256color").env("SHELL", "/bin/sh").env("NO_COLOR", "1"))
}

#[tokio::test]
async fn on_a_terminal_it_shows_a_picture_until_q_or_ctrl_c() {
    for key in ["q", "\u{3}"] {
        let folder = scratch("demo");
        let mut demo = on_a_terminal(folder.path());
        eventually(SOON, "the picture is there", async || {
            let raw = demo.raw();
            if raw.contains("quits") && raw.contains("webinar") { Ok(()) } else { Err(format!("{raw:?}")) }
        })
        .await;
        demo.type_in(key);
        let ended = demo.ended().await;
        assert!(ended.status.success(), "{key:?}: {} {}", ended.stdout, ended.stderr);
        let (enter, leave) = ("\u{1b}[?1049h", "\u{1b}[?1049l");
        let entered = ended.stdout.find(enter).unwrap_or_else(|| panic!("{:?}", ended.stdout));
        assert!(ended.stdout[entered..].contains(leave), "the terminal is given back: {:?}", ended.stdout);
        assert!(ended.stdout.contains("usher"), "{:?}", ended.stdout);
        // No colour but the usual one.
        for colour in ["\u{1b}[32m", "\u{1b}[38;5;2m", "\u{1b}[31m"] {
            assert!(!ended.stdout.contains(colour), "{:?}", ended.stdout);
        }
    }
}

#[tokio::test]
async fn sigterm_gives_the_terminal_back() {
    let folder = scratch("demo");
    let (id, dir) = (folder.path().join("id"), folder.path().join("manifests"));
    // The shell becomes the demo, whose end the outer one survives.
    let demo = format!("echo $$ >{}; exec {USHER} demo --dir {}", id.display(), dir.display());
    let command = format!("stty rows 24 cols 80; sh -c '{demo}'; echo it ended with $?; stty -a");
    let launch = Launch::new("script", TestDir::current().log("script")).args(["-qec", &command, "/dev/null"]);
    let terminal = Program::start(launch.env("TERM", "xterm-256color").env("SHELL", "/bin/sh"));
    eventually(SOON, "the picture is there", async || {
        let raw = terminal.raw();
        if raw.contains("quits") { Ok(()) } else { Err(format!("{raw:?}")) }
    })
    .await;
    let id = std::fs::read_to_string(&id).unwrap();
    let killed = std::process::Command::new("kill").args(["-TERM", id.trim()]).status().unwrap();
    assert!(killed.success());
    let said = terminal.ended().await.stdout;
    let entered = said.find("\u{1b}[?1049h").unwrap();
    assert!(said[entered..].contains("\u{1b}[?1049l"), "the picture has gone: {said:?}");
    assert!(said.contains("it ended with 0"), "{said:?}");
    let modes: Vec<_> = said.split_whitespace().collect();
    assert!(modes.contains(&"icanon") && modes.contains(&"echo"), "what is typed is read in lines again: {said:?}");
}

#[tokio::test]
async fn the_seed_decides_who_comes() {
    let first_joins = async |seed: &str| {
        let folder = scratch("demo");
        let args = ["demo", "--dir", folder.path().to_str().unwrap(), "-o", "json", "--seed", seed];
        let demo = Program::start(launch(args));
        let done = async || {
            let deeds = demo.objects().into_iter().filter(|line| line["by"][0] == "default/webinar/guests");
            deeds.take(8).map(|line| line["identity"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        eventually(SOON, "eight guests", async || {
            let seen = done().await;
            if seen.len() == 8 { Ok(seen) } else { Err(format!("{seen:?}")) }
        })
        .await
    };
    assert_eq!(first_joins("1").await, first_joins("1").await);
}
