//! Flux's kustomize-controller, and a source that it takes manifests from.
//!
//! Its sources are the business of another controller, which clones repositories. Here the test itself is the source:
//! it serves an archive on loopback and says so in the status of a GitRepository, as that controller does.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Router, extract::State, http::Uri};
use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use usher_testkit::{
    Cluster, Launch, Process, TestDir, eventually, free_port, markdown, repository, scratch, stack_binary,
};

use crate::stage::{AGAIN, condition};

type Archives = Arc<Mutex<BTreeMap<String, Bytes>>>;

/// A kustomize-controller for one namespace, with a GitRepository `fleet` and a Kustomization `policies` in it.
pub struct Flux<'a> {
    cluster: &'a Cluster,
    namespace: String,
    url: String,
    archives: Archives,
    server: JoinHandle<()>,
    controller: Process,
    // It goes with the controller.
    _temporary: TempDir,
    revisions: usize,
}

impl Drop for Flux<'_> {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl<'a> Flux<'a> {
    pub async fn start(cluster: &'a Cluster, namespace: &str) -> Self {
        let definitions = stack_binary("flux-crds").display().to_string();
        cluster.kubectl(&["apply", "--server-side", "-f", &definitions], None).await.ok();
        let established = ["wait", "--for=condition=Established", "--timeout=30s", "-f", &definitions];
        cluster.kubectl(&established, None).await.ok();

        let archives = Archives::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(archive).with_state(Arc::clone(&archives));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });

        // Each begins by removing what it finds in there of earlier ones, which might still run.
        let temporary = scratch("flux");
        let controller = Launch::new(stack_binary("kustomize-controller"), TestDir::current().log("flux"))
            .args(["--watch-all-namespaces=false", "--enable-leader-election=false", "--log-level=info"])
            .args([
                format!("--metrics-addr=127.0.0.1:{}", free_port()),
                format!("--health-addr=127.0.0.1:{}", free_port()),
            ])
            .env("KUBECONFIG", cluster.kubeconfig())
            .env("RUNTIME_NAMESPACE", namespace)
            .env("TMPDIR", temporary.path())
            .start();
        let flux = Self {
            cluster,
            namespace: namespace.to_owned(),
            url,
            archives,
            server,
            controller,
            _temporary: temporary,
            revisions: 0,
        };
        flux.kubectl_apply(&json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": {"name": "fleet"},
            "spec": {"interval": "1h", "url": "https://git.example.com/fleet"},
        }))
        .await;
        flux
    }

    async fn kubectl_apply(&self, object: &Value) {
        let args = ["apply", "--server-side", "-n", &self.namespace, "-f", "-"];
        self.cluster.kubectl(&args, Some(&object.to_string())).await.ok();
    }

    async fn kubectl(&self, args: &[&str]) -> String {
        self.cluster.kubectl(&[args, &["-n", &self.namespace]].concat(), None).await.ok()
    }

    /// Makes these files, below `policies/`, the newest commit; its revision.
    pub async fn commit(&mut self, files: &[(&str, String)]) -> String {
        self.revisions += 1;
        let hash = format!("{:040x}", self.revisions);
        let revision = format!("main@sha1:{hash}");
        let archive = pack(files).await;
        let digest = Sha256::digest(&archive).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let size = archive.len();
        let name = format!("/{hash}.tar.gz");
        self.archives.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), archive);
        let now = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second()).expect("now").to_string();
        let status = json!({"status": {
            "observedGeneration": 1,
            "artifact": {
                "url": format!("{}{name}", self.url), "path": format!("fleet{name}"), "revision": revision,
                "digest": format!("sha256:{digest}"), "lastUpdateTime": now, "size": size,
            },
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "Succeeded", "message": "stored", "lastTransitionTime": now,
                "observedGeneration": 1,
            }],
        }});
        let patch =
            ["patch", "gitrepository", "fleet", "--subresource=status", "--type=merge", "-p", &status.to_string()];
        self.kubectl(&patch).await;
        revision
    }

    /// Applies the Kustomization that stands in this block of docs/gitops.md, laid over this namespace.
    pub async fn kustomize(&self, block: usize) {
        let page = fs::read_to_string(repository().join("docs/gitops.md")).expect("the page");
        let blocks = markdown::code_blocks(&page).into_iter().filter(|block| block.language == "yaml");
        let mut object: Value =
            serde_saphyr::from_str(&blocks.map(|block| block.code).nth(block).expect("a block")).expect("YAML");
        assert_eq!(object["kind"], "Kustomization");
        object["metadata"]["namespace"] = self.namespace.as_str().into();
        object["spec"]["targetNamespace"] = self.namespace.as_str().into();
        self.kubectl_apply(&object).await;
    }

    /// As `flux reconcile` does: asks, and waits until the controller says that it has seen to it.
    pub async fn reconcile(&self) {
        let asked = jiff::Timestamp::now().to_string();
        let annotation = format!("reconcile.fluxcd.io/requestedAt={asked}");
        self.kubectl(&["annotate", "kustomization", "policies", "--overwrite", &annotation]).await;
        eventually(2 * AGAIN, "Flux has reconciled", async || {
            let (_, _, object) = self.ready().await;
            if object["status"]["lastHandledReconcileAt"] == asked { Ok(()) } else { Err(self.told(&object)) }
        })
        .await;
    }

    /// Status and reason of the Kustomization's Ready, with the whole object.
    pub async fn ready(&self) -> (String, String, Value) {
        let text = self.kubectl(&["get", "kustomization", "policies", "-o", "json"]).await;
        let object: Value = serde_json::from_str(&text).expect("kubectl writes JSON");
        let (status, reason) = condition(&object, "Ready").unwrap_or_default();
        (status, reason, object)
    }

    /// Waits until the Kustomization is so, for this revision.
    pub async fn wait(&self, revision: &str, status: &str, reason: &str) {
        eventually(2 * AGAIN, &format!("{revision} {status} {reason}"), async || {
            let (is, why, object) = self.ready().await;
            let attempted = object["status"]["lastAttemptedRevision"] == revision;
            if attempted && is == status && why == reason { Ok(()) } else { Err(self.told(&object)) }
        })
        .await;
    }

    pub async fn delete(&self) {
        self.kubectl(&["delete", "kustomization", "policies", "--timeout=60s"]).await;
    }

    fn told(&self, object: &Value) -> String {
        let log = fs::read_to_string(self.controller.log()).unwrap_or_default();
        let last: Vec<_> = log.lines().rev().take(5).collect();
        format!("{}\n{}", object["status"], last.join("\n"))
    }
}

async fn archive(State(archives): State<Archives>, uri: Uri) -> Result<Bytes, axum::http::StatusCode> {
    let archives = archives.lock().unwrap_or_else(PoisonError::into_inner);
    archives.get(uri.path()).cloned().ok_or(axum::http::StatusCode::NOT_FOUND)
}

async fn pack(files: &[(&str, String)]) -> Bytes {
    let folder = scratch("commit");
    let policies = folder.path().join("policies");
    fs::create_dir(&policies).expect("a folder");
    for (name, text) in files {
        fs::write(policies.join(name), text).expect("a file");
    }
    let packed = folder.path().join("packed.tar.gz");
    let tar = Launch::new("tar", folder.path().join("tar.log"))
        .args([Path::new("-czf"), &packed, Path::new("-C"), folder.path(), Path::new("policies")])
        .start();
    assert!(tar.ended().await.success());
    fs::read(packed).expect("the archive").into()
}
