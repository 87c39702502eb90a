//! The API server the tests talk to, with the CRDs of this tree.

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use usher::api;
use usher_testkit::Cluster;

/// A namespace in which no test leaves an object.
pub(crate) const EMPTY: &str = "empty";

/// Makes the namespaces of the manifests once.
static PREPARED: OnceCell<()> = OnceCell::const_new();

/// A client of an API server on which the CRDs are established and the namespaces of the manifests exist.
pub(crate) async fn client() -> Client {
    let client = Cluster::shared().await.client().await;
    PREPARED.get_or_init(|| prepare(client.clone())).await;
    client
}

async fn prepare(client: Client) {
    let apply = PatchParams::apply("tests").force();
    for name in ["livekit", "events", EMPTY] {
        let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        Api::<Namespace>::all(client.clone()).patch(name, &apply, &Patch::Apply(&namespace)).await.unwrap();
    }
}

/// The address of a manifest's kind in its namespace.
pub(crate) fn collection(manifest: &Value) -> String {
    let plural = match manifest["kind"].as_str() {
        Some("RoomPolicy") => "roompolicies",
        Some("LiveKitServer") => "livekitservers",
        Some("ParticipantForward") => "participantforwards",
        Some("ParticipantMove") => "participantmoves",
        other => panic!("no kind of ours: {other:?}"),
    };
    let namespace = manifest["metadata"]["namespace"].as_str().unwrap_or("default");
    format!("/apis/{}/{}/namespaces/{namespace}/{plural}", api::GROUP, api::VERSION)
}

/// Sends one request, strict about unknown fields as `kubectl apply` is.
pub(crate) async fn send(
    client: &Client,
    method: &str,
    path: &str,
    query: &str,
    body: &Value,
) -> Result<Value, kube::Error> {
    let content = if method == "PATCH" { "application/apply-patch+yaml" } else { "application/json" };
    let request = http::Request::builder()
        .method(method)
        .uri(format!("{path}?fieldManager=tests&fieldValidation=Strict{query}"))
        .header("content-type", content)
        .body(serde_json::to_vec(body).unwrap())
        .unwrap();
    client.request(request).await
}

/// What the API server says when it refuses.
pub(crate) fn refusal(answer: Result<Value, kube::Error>) -> Result<String, Value> {
    match answer {
        Ok(object) => Err(object),
        Err(kube::Error::Api(status)) => Ok(status.message.clone()),
        Err(error) => panic!("no answer of the API server: {error}"),
    }
}
