//! The commands that pages give for an installation, and what the chart makes of them: what else these pages name is there.

use std::{fs, process::Command};

use serde_json::Value;
use usher_testkit::{markdown, repository, stack_binary};

/// The blocks of code of a page.
fn blocks(page: &str) -> Vec<String> {
    let text = fs::read_to_string(repository().join(page)).expect("the page is there");
    markdown::code_blocks(&text).into_iter().map(|block| block.code).collect()
}

/// What the `helm install` of a page would apply.
fn installed(page: &str) -> Vec<Value> {
    let blocks = blocks(page).join("\n").replace("\\\n", " ");
    let line = blocks.lines().find(|line| line.starts_with("helm install usher charts/usher ")).expect("the command");
    let helm = stack_binary("helm").display().to_string();
    let command = line.replacen("helm install", &format!("{helm} template --kube-version 1.36.3"), 1);
    let output = Command::new("sh").args(["-c", &command]).current_dir(repository()).output().expect("sh can be run");
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    let rendered = String::from_utf8(output.stdout).expect("it is text");
    serde_saphyr::from_multiple(&rendered).expect("it is YAML")
}

fn find<'a>(objects: &'a [Value], kind: &str, namespace: &str, name: &str) -> &'a Value {
    let is = |object: &&Value| {
        let metadata = &object["metadata"];
        object["kind"] == kind && metadata["namespace"] == namespace && metadata["name"] == name
    };
    objects.iter().find(is).unwrap_or_else(|| panic!("no {kind} {namespace}/{name}"))
}

#[test]
fn getting_started_names_what_the_chart_makes() {
    let page = "docs/getting-started.md";
    let objects = installed(page);
    let text = blocks(page).join("\n");
    let has = |what: &str| assert!(text.contains(what), "{page} has no {what}");

    let service = find(&objects, "Service", "usher-system", "usher");
    let port = service["spec"]["ports"][0]["port"].as_u64().expect("a port");
    // The port of http is the one that needs not be written.
    assert_eq!((service["spec"]["ports"][0]["name"].as_str(), port), (Some("webhooks"), 80));
    has("http://usher.usher-system.svc/webhooks/livekit/main");
    let deployment = find(&objects, "Deployment", "usher-system", "usher");
    has("kubectl rollout status -n usher-system deployment/usher");
    let image = deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str().expect("an image");
    for command in
        [format!("docker build -t {image} ."), format!("load docker-image {image} "), format!("import {image} ")]
    {
        has(&command);
    }
    let role = find(&objects, "Role", "livekit", "usher-servers");
    let secret = role["rules"][0]["resourceNames"][0].as_str().expect("a name");
    has(&format!("kubectl create secret generic {secret} -n livekit "));
}

#[test]
fn the_readme_of_the_chart_installs_it() {
    let objects = installed("charts/usher/README.md");
    find(&objects, "Deployment", "usher", "usher");
    assert_eq!(find(&objects, "Role", "livekit", "usher-servers")["rules"][0]["resourceNames"][0], "livekit-keys");
}
