//! What an account was permitted, and what of it it used: the API server's audit log says.

use std::collections::BTreeSet;

use serde_json::Value;
use usher_testkit::Cluster;

/// One right: a verb on a resource, and on one object where the right is for one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    group: String,
    resource: String,
    verb: String,
    name: Option<String>,
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// What roles grant that are bound to an account.
async fn granted(cluster: &Cluster, namespace: &str, account: &str) -> BTreeSet<Right> {
    let get = async |what: &str| -> Vec<Value> {
        let text = cluster.kubectl(&["get", what, "--all-namespaces", "-o", "json"], None).await.ok();
        let list: Value = serde_json::from_str(&text).expect("kubectl writes JSON");
        list["items"].as_array().cloned().unwrap_or_default()
    };
    let bindings = [get("rolebindings").await, get("clusterrolebindings").await].concat();
    let roles = [get("roles").await, get("clusterroles").await].concat();
    let mut rights = BTreeSet::new();
    for binding in bindings {
        let is_subject = |subject: &Value| {
            (&subject["kind"], &subject["name"], &subject["namespace"])
                == (&"ServiceAccount".into(), &account.into(), &namespace.into())
        };
        if !binding["subjects"].as_array().is_some_and(|subjects| subjects.iter().any(is_subject)) {
            continue;
        }
        let role = &binding["roleRef"];
        let role = roles.iter().find(|candidate| {
            candidate["kind"] == role["kind"]
                && candidate["metadata"]["name"] == role["name"]
                && (role["kind"] == "ClusterRole"
                    || candidate["metadata"]["namespace"] == binding["metadata"]["namespace"])
        });
        for rule in role.expect("the role of the binding is there")["rules"].as_array().into_iter().flatten() {
            let names = match texts(&rule["resourceNames"]) {
                names if names.is_empty() => vec![None],
                names => names.into_iter().map(Some).collect(),
            };
            for group in texts(&rule["apiGroups"]) {
                for resource in texts(&rule["resources"]) {
                    for verb in texts(&rule["verbs"]) {
                        for name in &names {
                            let (group, resource, verb) = (group.clone(), resource.clone(), verb.clone());
                            rights.insert(Right { group, resource, verb, name: name.clone() });
                        }
                    }
                }
            }
        }
    }
    rights
}

/// Checks that an account was refused nothing, and that it used every right that it has.
pub async fn needs_what_it_has(cluster: &Cluster, namespace: &str, account: &str) {
    let user = format!("system:serviceaccount:{namespace}:{account}");
    let mut used = BTreeSet::new();
    for request in cluster.audit_log().iter().filter(|request| request["user"]["username"] == user) {
        let code = request["responseStatus"]["code"].as_u64();
        assert!(!matches!(code, Some(401 | 403)), "{account} misses a right: {request:#}");
        let object = &request["objectRef"];
        let text = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
        let resource = match text("subresource") {
            subresource if subresource.is_empty() => text("resource"),
            subresource => format!("{}/{subresource}", text("resource")),
        };
        let verb = request["verb"].as_str().unwrap_or_default().to_owned();
        used.insert(Right { group: text("apiGroup"), resource, verb, name: Some(text("name")) });
    }
    assert!(!used.is_empty(), "{account} has asked for nothing");
    let granted = granted(cluster, namespace, account).await;
    let is_used = |right: &&Right| {
        used.iter().any(|used| {
            (&used.group, &used.resource, &used.verb) == (&right.group, &right.resource, &right.verb)
                && (right.name.is_none() || right.name == used.name)
        })
    };
    let needless: Vec<&Right> = granted.iter().filter(|right| !is_used(right)).collect();
    assert!(needless.is_empty(), "{account} has rights that it does not use: {needless:#?}; used: {used:#?}");
    assert!(granted.len() > 1, "{granted:?}");
}
