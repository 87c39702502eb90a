#![allow(clippy::panic, clippy::unwrap_used, reason = "what goes wrong here is a failed test")]

use std::process::Command;

use super::*;

/// What the test below runs on a terminal.
#[test]
#[ignore = "takes the terminal; the next test gives it one"]
fn a_picture_that_panics() {
    let (_nobody_hangs_up, hung_up) = mpsc::channel();
    let _ = Screen::take().unwrap().show(&hung_up, |_| panic!("no picture"));
}

#[test]
fn a_panic_gives_the_terminal_back() {
    let own = std::env::current_exe().unwrap();
    let test = "cli::demo::screen::tests::a_picture_that_panics";
    let command = format!("{} --exact {test} --ignored --nocapture; stty -a", own.display());
    let script = Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .env("SHELL", "/bin/sh")
        .env("TERM", "xterm-256color")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&script.stdout);
    let entered = said.find("\u{1b}[?1049h").unwrap_or_else(|| panic!("the picture was there: {said:?}"));
    assert!(said[entered..].contains("\u{1b}[?1049l"), "and has gone: {said:?}");
    assert!(said.contains("1 failed"), "by the panic: {said:?}");
    let modes: Vec<_> = said.split_whitespace().collect();
    assert!(modes.contains(&"icanon") && modes.contains(&"echo"), "what is typed is read in lines again: {said:?}");
}
