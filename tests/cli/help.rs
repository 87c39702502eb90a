//! What every command says of itself.

use crate::program::run;

/// The names of all commands, by what the program itself says.
async fn commands() -> Vec<String> {
    let help = run(["--help"]).await;
    let listed = help.stdout.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap().to_owned();
    let names = listed.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned);
    names.filter(|name| name != "help").collect()
}

#[tokio::test]
async fn help_starts_with_an_example() {
    let commands = commands().await;
    assert!(commands.len() >= 8, "{commands:?}");
    for command in &commands {
        let help = run([command, "--help"]).await;
        assert!(help.status.success(), "{command}");
        let before_usage = help.stdout.split("Usage:").next().unwrap();
        assert!(before_usage.contains(&format!("Example: usher {command}")), "{}", help.stdout);
        assert!(help.stdout.contains(&format!("Usage: usher {command}")), "{}", help.stdout);
    }
}

#[tokio::test]
async fn every_flag_has_a_variable() {
    for command in commands().await {
        let help = run([command.as_str(), "--help"]).await.stdout;
        let options = help.split("Options:\n").nth(1).unwrap_or_default();
        // What belongs to an option stands farther in than the option itself.
        let is_option = |line: &str| line.trim_start().starts_with('-') && line.len() - line.trim_start().len() <= 6;
        let starts: Vec<_> =
            options.lines().enumerate().filter(|(_, line)| is_option(line)).map(|(at, _)| at).collect();
        let lines: Vec<_> = options.lines().collect();
        assert!(!starts.is_empty(), "{command}: {help}");
        for (at, start) in starts.iter().enumerate() {
            let end = starts.get(at + 1).copied().unwrap_or(lines.len());
            let option = lines[*start..end].join("\n");
            let is_clap_s = ["--help", "--version"].iter().any(|own| option.contains(own));
            assert!(is_clap_s || option.contains("[env: USHER_"), "{command}: {option}");
        }
    }
}

#[tokio::test]
async fn a_mistake_in_the_arguments_is_2_and_one_in_the_world_is_1() {
    for args in [
        &["run", "--lease"][..],
        &["dance"],
        &["simulate", "--errors", "2"],
        &["simulate", "--stay", "1m-1s"],
        &["simulate", "--publishes", "Hologram"],
        &["run", "--status-file", "x"],
        &["run", "--from", "x", "--namespace", "a"],
        &["suspend", "pods", "a"],
        &["sync", "roompolicy"],
        &["demo", "--duration", "soon"],
    ] {
        let ended = run(args).await;
        assert_eq!(ended.status.code(), Some(2), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains("error:") && ended.stderr.contains("--help"), "{args:?}: {}", ended.stderr);
    }
    for (args, words) in [
        (&["run", "--from", "/nowhere", "--http-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"][..], "/nowhere"),
        (&["simulate", "--scenario", "/nowhere.yaml"], "/nowhere.yaml"),
        (&["suspend", "rpol", "a", "--kubeconfig", "/nowhere"], "/nowhere"),
        (&["demo", "-o", "screen"], "terminal"),
    ] {
        let ended = run(args).await;
        assert_eq!(ended.status.code(), Some(1), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(words), "{args:?}: {}", ended.stderr);
    }
}
