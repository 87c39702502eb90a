//! The chart, installed as its users do, and what its container would be run with. There is no kubelet: whoever wants
//! the container to run starts the program with what [`Container`] says.

use crate::cluster::Cluster;
use crate::dir::repository;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A release of the repository's chart.
#[derive(Clone, Debug)]
pub struct Release {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// What a kubelet would run a container with.
#[derive(Clone, Debug)]
pub struct Container {
    /// Whom it is to Kubernetes, in the namespace of its Pod.
    pub service_account: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment.
    pub env: Vec<(String, String)>,
    /// The spec, for everything else.
    pub spec: Value,
    /// That of the Pod.
    pub pod: Value,
}

impl Release {
    /// The folder of the chart.
    pub fn chart() -> PathBuf {
        repository().join("charts/usher")
    }

    /// What the operator's container would be run with, as the API server has the Deployment.
    pub async fn container(&self, cluster: &Cluster) -> Container {
        let selector = format!("app.kubernetes.io/instance={},app.kubernetes.io/component=operator", self.name);
        let args = ["get", "deployment", "-n", &self.namespace, "-l", &selector, "-o", "json"];
        let list: Value = serde_json::from_str(&cluster.kubectl(&args, None).await.ok()).expect("kubectl writes JSON");
        let deployments = list["items"].as_array().expect("a list has items");
        assert_eq!(deployments.len(), 1, "{list:#}");
        Container::of(&deployments[0]["spec"]["template"], &self.namespace)
    }
}

impl Container {
    /// The one container of a Pod, or of a template of Pods, in a namespace.
    ///
    /// # Panics
    ///
    /// When there are several, or its environment has values that only a kubelet knows.
    pub fn of(pod: &Value, namespace: &str) -> Self {
        let containers = pod["spec"]["containers"].as_array().expect("a Pod has containers");
        assert_eq!(containers.len(), 1, "{pod:#}");
        let spec = containers[0].clone();
        let text = |value: &Value| value.as_str().expect("this is text").to_owned();
        let env = spec["env"].as_array().into_iter().flatten().map(|variable| {
            let path = &variable["valueFrom"]["fieldRef"]["fieldPath"];
            let value = match path.as_str() {
                None => text(&variable["value"]),
                Some("metadata.name") => format!("{}-{:08x}", text(&spec["name"]), fastrand::u32(..)),
                Some("metadata.namespace") => namespace.to_owned(),
                Some(path) => panic!("only a kubelet knows {path}"),
            };
            (text(&variable["name"]), value)
        });
        Self {
            service_account: pod["spec"]["serviceAccountName"].as_str().unwrap_or("default").to_owned(),
            args: spec["args"].as_array().into_iter().flatten().map(text).collect(),
            env: env.collect(),
            pod: pod["spec"].clone(),
            spec,
        }
    }

    /// The number of a port that it names.
    ///
    /// # Panics
    ///
    /// When it names none so.
    pub fn port(&self, name: &str) -> u16 {
        let ports = self.spec["ports"].as_array().expect("the container has ports");
        let port = ports.iter().find(|port| port["name"] == name).unwrap_or_else(|| panic!("no port {name}"));
        u16::try_from(port["containerPort"].as_u64().expect("a port is a number")).expect("a port is small")
    }
}

impl Cluster {
    /// Installs the repository's chart, with values beside its own, and without waiting for Pods, which nobody runs.
    pub async fn install_chart(&self, namespace: &str, name: &str, values: &Value) -> Release {
        self.install_chart_at(&Release::chart(), namespace, name, values).await
    }

    /// The same with a chart that lies elsewhere, such as an older one.
    pub async fn install_chart_at(&self, chart: &Path, namespace: &str, name: &str, values: &Value) -> Release {
        let chart = chart.to_str().expect("the path is text");
        let args = ["install", name, chart, "-n", namespace, "-f", "-"];
        self.helm(&args, Some(&values.to_string())).await.ok();
        Release { namespace: namespace.to_owned(), name: name.to_owned() }
    }
}
