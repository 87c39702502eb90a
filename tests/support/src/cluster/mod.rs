//! A real Kubernetes control plane: etcd, API server and, where asked for, controller-manager.

mod command;
mod kubeconfig;
mod parts;
mod pki;

pub use self::command::CommandOutput;

use self::parts::client_config;
use self::pki::Pki;
use crate::dir::{TestDir, repository, scratch};
use crate::net::free_port;
use crate::service::Service;
use crate::wait::eventually;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// How [`Cluster::start`] shall start one.
#[derive(Clone, Debug, Default)]
pub struct ClusterOptions {
    /// Also runs the controllers for namespaces, ServiceAccounts, garbage, Deployments, ReplicaSets, Jobs and aggregated
    /// ClusterRoles. Without them a
    /// deleted namespace stays, owned objects outlive their owners, and no namespace has a ServiceAccount `default`.
    pub controller_manager: bool,
    /// Writes an audit log; see [`Cluster::audit_log`].
    pub audit: bool,
    /// Further flags of the API server.
    pub api_server_args: Vec<String>,
}

/// A control plane that serves. Dropping it ends it and removes its data.
#[derive(Debug)]
pub struct Cluster {
    // In the order in which they end.
    controller_manager: Option<Service>,
    api_server: Service,
    etcd: Service,
    pki: Pki,
    url: String,
    admin: PathBuf,
    audit: Option<PathBuf>,
    data: TempDir,
}

impl Cluster {
    /// The one that all tests of this process share, with controller-manager and, where the repository has them, the
    /// CRDs. The first caller starts it.
    ///
    /// It consists of processes, files and plain values, so it outlives the runtime of the test that started it; what
    /// does not, such as a client, each test asks for itself. It ends with this process.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Cluster> = OnceCell::const_new();
        let start = async || {
            let options = ClusterOptions { controller_manager: true, ..ClusterOptions::default() };
            let cluster = Self::start_in(&TestDir::named("shared-cluster"), options).await;
            if repository().join("crds").is_dir() {
                cluster.apply_crds().await;
            }
            cluster
        };
        SHARED.get_or_init(start).await
    }

    /// Starts one for the caller alone, to break it.
    pub async fn start(options: ClusterOptions) -> Self {
        Self::start_in(&TestDir::current(), options).await
    }

    async fn start_in(dir: &TestDir, options: ClusterOptions) -> Self {
        let data = scratch("cluster");
        let path = data.path();
        let pki = Pki::create(path);
        let port = free_port();
        let url = format!("https://127.0.0.1:{port}");
        let admin = path.join("admin.kubeconfig");
        kubeconfig::write(&admin, &url, &pki.ca, &kubeconfig::by_certificate(&pki.admin), "default");

        let (etcd, etcd_url) = parts::etcd(dir, path);
        let (api_server, audit) = parts::api_server(dir, path, &pki, (&etcd_url, port, &admin), &options);
        let controller_manager = options.controller_manager.then(|| parts::controller_manager(dir, &pki, &admin));

        etcd.start().await;
        api_server.start().await;
        if let Some(controller_manager) = &controller_manager {
            controller_manager.start().await;
        }
        let cluster = Self { controller_manager, api_server, etcd, pki, url, admin, audit, data };
        cluster.wait_for_default_namespace().await;
        cluster
    }

    /// The API server makes it itself, some moments after it says that it is ready.
    async fn wait_for_default_namespace(&self) {
        let namespaces: Api<Namespace> = Api::all(self.client().await);
        let check = async || namespaces.get("default").await;
        eventually(Duration::from_secs(30), "the namespace default", check).await;
    }

    /// The address of the API server.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The certificate of the CA that has signed the API server's, as PEM.
    pub fn ca(&self) -> &str {
        &self.pki.ca
    }

    /// The kubeconfig of an administrator.
    pub fn kubeconfig(&self) -> &Path {
        &self.admin
    }

    /// A new client as administrator. It belongs to the runtime that calls this: each test needs its own.
    pub async fn client(&self) -> Client {
        self.client_with(&self.admin).await
    }

    /// A new client with a kubeconfig, such as that of a ServiceAccount.
    pub async fn client_with(&self, kubeconfig: &Path) -> Client {
        Client::try_from(client_config(kubeconfig).await).expect("the testkit wrote this kubeconfig")
    }

    /// A new token of a ServiceAccount, which is made if there is none of that name.
    pub async fn token_for_service_account(&self, namespace: &str, name: &str) -> String {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client().await, namespace);
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        let account = ServiceAccount { metadata, ..ServiceAccount::default() };
        match accounts.create(&PostParams::default(), &account).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => panic!("the ServiceAccount {namespace}/{name} cannot be made: {error}"),
        }
        let spec = TokenRequestSpec { expiration_seconds: Some(3600), ..TokenRequestSpec::default() };
        let wanted = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
        let made = accounts.create_token_request(name, &PostParams::default(), &wanted).await;
        let status = made.expect("the API server makes tokens").status;
        status.and_then(|status| status.token).expect("it answers with the token")
    }

    /// A kubeconfig with such a token.
    pub async fn kubeconfig_for_service_account(&self, namespace: &str, name: &str) -> PathBuf {
        let token = self.token_for_service_account(namespace, name).await;
        let path = self.data.path().join(format!("{namespace}-{name}-{:08x}.kubeconfig", fastrand::u32(..)));
        kubeconfig::write(&path, &self.url, &self.pki.ca, &kubeconfig::by_token(&token), namespace);
        path
    }

    /// Makes a namespace whose name begins with `hint` and that nobody else uses, and returns its name.
    pub async fn namespace(&self, hint: &str) -> String {
        let name = format!("{hint}-{:06x}", fastrand::u32(..1 << 24));
        let metadata = ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() };
        let namespace = Namespace { metadata, ..Namespace::default() };
        let namespaces: Api<Namespace> = Api::all(self.client().await);
        namespaces.create(&PostParams::default(), &namespace).await.expect("a namespace can be made");
        name
    }

    /// Runs kubectl as administrator, with `stdin` as its input.
    pub async fn kubectl(&self, args: &[&str], stdin: Option<&str>) -> CommandOutput {
        self.kubectl_with(&self.admin, args, stdin).await
    }

    /// Runs kubectl with a kubeconfig, such as that of a ServiceAccount.
    pub async fn kubectl_with(&self, kubeconfig: &Path, args: &[&str], stdin: Option<&str>) -> CommandOutput {
        command::run("kubectl", self.data.path(), kubeconfig, args, stdin).await
    }

    /// Runs helm as administrator, with `stdin` as its input: `-f -` reads values from there.
    pub async fn helm(&self, args: &[&str], stdin: Option<&str>) -> CommandOutput {
        self.helm_with(&self.admin, args, stdin).await
    }

    /// Runs helm with a kubeconfig.
    pub async fn helm_with(&self, kubeconfig: &Path, args: &[&str], stdin: Option<&str>) -> CommandOutput {
        command::run("helm", self.data.path(), kubeconfig, args, stdin).await
    }

    /// Applies YAML or JSON as administrator, as `kubectl apply --server-side` does.
    pub async fn apply(&self, manifests: &str) {
        self.kubectl(&["apply", "--server-side", "-f", "-"], Some(manifests)).await.ok();
    }

    /// Applies the repository's `crds` and waits until the API server serves them.
    pub async fn apply_crds(&self) {
        let directory = repository().join("crds");
        let directory = directory.to_str().expect("the repository's path is text");
        self.kubectl(&["apply", "--server-side", "-f", directory], None).await.ok();
        self.kubectl(&["wait", "--for=condition=Established", "--timeout=30s", "-f", directory], None).await.ok();
    }

    /// Every request that the API server has answered so far: an object of `audit.k8s.io/v1`, kind `Event`, each.
    ///
    /// # Panics
    ///
    /// When the cluster was started without [`ClusterOptions::audit`].
    pub fn audit_log(&self) -> Vec<serde_json::Value> {
        let path = self.audit.as_ref().expect("the cluster was started with an audit log");
        let log = std::fs::read_to_string(path).unwrap_or_default();
        // The last line may be half written.
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The API server, to kill, stop and start again.
    pub fn api_server(&self) -> &Service {
        &self.api_server
    }

    /// etcd, to kill, stop and start again.
    pub fn etcd(&self) -> &Service {
        &self.etcd
    }

    /// The controller-manager.
    ///
    /// # Panics
    ///
    /// When the cluster was started without one.
    pub fn controller_manager(&self) -> &Service {
        self.controller_manager.as_ref().expect("the cluster was started with a controller-manager")
    }
}
