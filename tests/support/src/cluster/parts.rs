//! The three servers of a control plane and how each is asked whether it serves.

use super::ClusterOptions;
use super::pki::Pki;
use crate::dir::TestDir;
use crate::net::{expect_status, free_port};
use crate::process::Launch;
use crate::service::{Probe, Service};
use crate::stack::stack_binary;
use futures::FutureExt;
use http::{Request, StatusCode};
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A flag with a value that need not be text.
fn flag(name: &str, value: impl AsRef<Path>) -> String {
    format!("--{name}={}", value.as_ref().display())
}

/// Its data does not survive the machine, therefore it need not wait for the disk.
pub(super) fn etcd(dir: &TestDir, data: &Path) -> (Service, String) {
    let url = format!("http://127.0.0.1:{}", free_port());
    let peers = format!("http://127.0.0.1:{}", free_port());
    let launch = Launch::new(stack_binary("etcd"), dir.log("etcd"))
        .arg(flag("data-dir", data.join("etcd")))
        .arg(format!("--listen-client-urls={url}"))
        .arg(format!("--advertise-client-urls={url}"))
        .arg(format!("--listen-peer-urls={peers}"))
        .arg(format!("--initial-advertise-peer-urls={peers}"))
        .arg(format!("--initial-cluster=default={peers}"))
        .arg("--unsafe-no-fsync=true")
        .arg("--log-level=warn");
    let health = format!("{url}/health");
    let probe: Probe = Arc::new(move || {
        let health = health.clone();
        async move { expect_status(&health, StatusCode::OK).await }.boxed()
    });
    (Service::new("etcd", launch, probe, dir.clone()), url)
}

/// The API server on `port`, which serves when an administrator says so.
pub(super) fn api_server(
    dir: &TestDir,
    data: &Path,
    pki: &Pki,
    (etcd, port, admin): (&str, u16, &Path),
    options: &ClusterOptions,
) -> (Service, Option<PathBuf>) {
    let mut launch = Launch::new(stack_binary("kube-apiserver"), dir.log("kube-apiserver"))
        .arg(format!("--etcd-servers={etcd}"))
        .arg("--bind-address=127.0.0.1")
        .arg(format!("--secure-port={port}"))
        .arg(flag("cert-dir", data))
        .arg(flag("tls-cert-file", &pki.server_certificate_file))
        .arg(flag("tls-private-key-file", &pki.server_key_file))
        .arg(flag("client-ca-file", &pki.ca_file))
        .arg("--authorization-mode=RBAC")
        .arg("--allow-privileged=true")
        .arg("--service-cluster-ip-range=10.0.0.0/24")
        // Nobody looks the API server up in the Service `kubernetes`.
        .arg("--endpoint-reconciler-type=none")
        .arg("--service-account-issuer=https://kubernetes.default.svc")
        .arg(flag("service-account-key-file", &pki.token_public_key_file))
        .arg(flag("service-account-signing-key-file", &pki.token_key_file));
    if !options.controller_manager {
        // It would refuse Pods until somebody makes the ServiceAccount `default`.
        launch = launch.arg("--disable-admission-plugins=ServiceAccount");
    }
    let audit = options.audit.then(|| dir.path().join("audit.jsonl"));
    if let Some(path) = &audit {
        let policy = data.join("audit-policy.yaml");
        std::fs::write(&policy, AUDIT_POLICY).expect("a file can be written");
        launch = launch
            .arg(flag("audit-policy-file", policy))
            .arg(flag("audit-log-path", path))
            .arg("--audit-log-mode=blocking");
    }
    launch = launch.args(&options.api_server_args);
    let probe = probe(admin, None, "/readyz");
    (Service::new("kube-apiserver", launch, probe, dir.clone()), audit)
}

/// Everything that was asked of the API server, without its contents, once per request.
const AUDIT_POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
";

/// The controllers that matter without nodes.
const CONTROLLERS: &str = "namespace-controller,serviceaccount-controller,serviceaccount-token-controller,\
    root-ca-certificate-publisher-controller,garbage-collector-controller,deployment-controller,replicaset-controller,\
    job-controller,clusterrole-aggregation-controller";

pub(super) fn controller_manager(dir: &TestDir, pki: &Pki, admin: &Path) -> Service {
    let port = free_port();
    let launch = Launch::new(stack_binary("kube-controller-manager"), dir.log("kube-controller-manager"))
        .arg(flag("kubeconfig", admin))
        .arg("--bind-address=127.0.0.1")
        .arg(format!("--secure-port={port}"))
        .arg(flag("tls-cert-file", &pki.server_certificate_file))
        .arg(flag("tls-private-key-file", &pki.server_key_file))
        .arg("--leader-elect=false")
        .arg(format!("--controllers={CONTROLLERS}"))
        .arg(flag("service-account-private-key-file", &pki.token_key_file))
        .arg(flag("root-ca-file", &pki.ca_file));
    let probe = probe(admin, Some(port), "/healthz");
    Service::new("kube-controller-manager", launch, probe, dir.clone())
}

/// Asks for `path` with the administrator's certificate, on another port than the API server's if one is given.
fn probe(admin: &Path, port: Option<u16>, path: &'static str) -> Probe {
    let admin = admin.to_owned();
    Arc::new(move || {
        let admin = admin.clone();
        async move {
            let mut config = client_config(&admin).await;
            if let Some(port) = port {
                config.cluster_url = format!("https://127.0.0.1:{port}").parse().expect("this is a URL");
            }
            let client = Client::try_from(config).map_err(|error| error.to_string())?;
            let request = Request::get(path).body(Vec::new()).expect("this is a request");
            client.request_text(request).await.map(drop).map_err(|error| error.to_string())
        }
        .boxed()
    })
}

/// What a client needs to know, from a kubeconfig.
pub(super) async fn client_config(kubeconfig: &Path) -> kube::Config {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("the testkit wrote this kubeconfig");
    let options = KubeConfigOptions::default();
    kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.expect("the testkit wrote this kubeconfig")
}
