use crate::{
    manifest::{Place::*, list},
    refused::{check, refused},
};

#[tokio::test]
async fn url() {
    check(vec![
        refused(Server, "url: null", "spec.url", "Required value"),
        refused(Server, "url: ''", "spec.url", "at least 1 chars long"),
        refused(Server, "url: livekit.example.com", "spec.url", "like wss://livekit.example.com"),
        refused(Server, "url: ftp://livekit.example.com", "spec.url", "scheme http, https, ws or wss"),
        refused(Server, "url: 'wss://'", "spec.url", "and a host"),
        refused(Server, "url: 'wss://:7880'", "spec.url", "and a host"),
        refused(Server, "url: 'wss://key:secret@livekit.example.com'", "spec.url", "keys belong into the Secret"),
        refused(Server, "url: 'wss://livekit.example.com?a=b'", "spec.url", "no user, query or fragment"),
        refused(Server, "url: 'wss://livekit.example.com#a'", "spec.url", "no user, query or fragment"),
        refused(Server, format!("url: 'wss://{}'", "a".repeat(2043)), "spec.url", "may not be more than 2048"),
        refused(Server, "url: 7", "spec.url", "must be of type string"),
    ])
    .await;
}

#[tokio::test]
async fn credentials() {
    let at = "spec.credentials";
    check(vec![
        refused(Server, "credentials: {secretRef: null}", "spec.credentials.secretRef", "Required value"),
        refused(Server, "credentials: {secretRef: {name: Keys}}", "spec.credentials.secretRef.name", "should match"),
        refused(Server, "credentials: {secretRef: {namespace: other}}", "secretRef.namespace", "unknown field"),
        refused(Server, "credentials: {apiKeyKey: k}", at, "both apiKeyKey and apiSecretKey, or neither"),
        refused(Server, "credentials: {apiSecretKey: s}", at, "both apiKeyKey and apiSecretKey, or neither"),
        refused(
            Server,
            "credentials: {keysFileKey: keys.yaml, apiKeyKey: k, apiSecretKey: s}",
            at,
            "remove apiKeyKey and apiSecretKey, or keysFileKey",
        ),
        refused(
            Server,
            "credentials: {apiKey: devkey}",
            "spec.credentials.apiKey",
            "give keysFileKey, or remove apiKey",
        ),
        refused(Server, "credentials: {keysFileKey: 'a/b'}", "spec.credentials.keysFileKey", "should match"),
        refused(Server, "caBundle: {configMapRef: {name: ca}}", "spec.caBundle.configMapRef.key", "Required value"),
        refused(Server, "caBundle: {}", "spec.caBundle.configMapRef", "Required value"),
    ])
    .await;
}

#[tokio::test]
async fn limits() {
    check(vec![
        refused(Server, "resyncInterval: 4s", "spec.resyncInterval", "from 5s to 1h"),
        refused(Server, "resyncInterval: 61m", "spec.resyncInterval", "from 5s to 1h"),
        refused(Server, "resyncInterval: 30", "spec.resyncInterval", "must be of type string"),
        refused(Server, "resyncInterval: '30'", "spec.resyncInterval", "(h|m|s|ms)"),
        refused(Server, "resyncInterval: 1.5m", "spec.resyncInterval", "(h|m|s|ms)"),
        refused(Server, "resyncInterval: 1m1m1m1m1m", "spec.resyncInterval", "{1,4}"),
        refused(Server, "requests: {}", "spec.requests", "or leave requests out"),
        refused(Server, "requests: {perSecond: 0}", "spec.requests.perSecond", "greater than or equal to 1"),
        refused(Server, "requests: {perSecond: 1000001}", "spec.requests.perSecond", "less than or equal to 1000000"),
        refused(Server, "requests: {burst: -1}", "spec.requests.burst", "greater than or equal to 1"),
        refused(Server, "requests: {burst: 1.5}", "spec.requests.burst", "must be of type integer"),
        refused(Server, "requests: {maxInFlight: 0}", "spec.requests.maxInFlight", "greater than or equal to 1"),
        refused(Server, "requests: {timeout: 99ms}", "spec.requests.timeout", "from 100ms to 60s"),
        refused(Server, "requests: {timeout: 60s1ms}", "spec.requests.timeout", "from 100ms to 60s"),
        refused(Server, "suspend: 'yes'", "spec.suspend", "must be of type boolean"),
        refused(Server, "sync: 30s", "spec.sync", "unknown field"),
    ])
    .await;
}

#[tokio::test]
async fn access() {
    let at = "spec.access[0].namespaces";
    check(vec![
        refused(Server, "access: []", "spec.access", "at least 1 items"),
        refused(
            Server,
            format!(
                "access: {}",
                list(65, |n| format!("{{name: n{n}, namespaces: {{names: [a]}}, rooms: [{{exact: a}}]}}"))
            ),
            "spec.access",
            "must have at most 64 items",
        ),
        refused(
            Server,
            format!("access: {}", list(2, |_| "{name: a, namespaces: {names: [a]}, rooms: [{exact: a}]}".into())),
            "spec.access[1]",
            "Duplicate value",
        ),
        refused(Access, "name: null", "spec.access[0].name", "Required value"),
        refused(Access, "rooms: null", "spec.access[0].rooms", "Required value"),
        refused(Access, "rooms: []", "spec.access[0].rooms", "at least 1 items"),
        refused(Access, "maxPriority: 1001", "spec.access[0].maxPriority", "less than or equal to 1000"),
        refused(Access, "namespaces: {names: null}", at, "exactly one of names and selector"),
        refused(Access, "namespaces: {selector: {matchLabels: {a: b}}}", at, "write two entries of access"),
        refused(Access, "namespaces: {names: []}", "spec.access[0].namespaces.names", "at least 1 items"),
        refused(Access, "namespaces: {names: [Team]}", "spec.access[0].namespaces.names[0]", "should match"),
        refused(Access, "namespaces: {names: [a, a]}", "spec.access[0].namespaces.names[1]", "Duplicate value"),
        refused(
            Access,
            "namespaces: {names: null, selector: {}}",
            "spec.access[0].namespaces.selector",
            "write matchExpressions: [{key: kubernetes.io/metadata.name, operator: Exists}]",
        ),
        refused(
            Access,
            "namespaces: {names: null, selector: {matchExpressions: [{key: a, operator: In}]}}",
            "spec.access[0].namespaces.selector.matchExpressions[0]",
            "give values with operator In or NotIn",
        ),
        refused(
            Access,
            "namespaces: {names: null, selector: {matchExpressions: [{key: a, operator: Is}]}}",
            "spec.access[0].namespaces.selector.matchExpressions[0].operator",
            "supported values: \"In\"",
        ),
    ])
    .await;
}
