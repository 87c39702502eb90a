//! The operator, as the program that its users run.

use crate::chart::Container;
use crate::dir::TestDir;
use crate::net::{free_port, request};
use crate::process::Launch;
use crate::service::Service;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use std::ops::Deref;
use std::path::{Path, PathBuf};

/// How [`Operator::start`] shall start it.
#[derive(Clone, Debug)]
pub struct OperatorOptions {
    /// The program: `env!("CARGO_BIN_EXE_usher")` in the tests of the root package.
    pub binary: PathBuf,
    /// Whom it is to Kubernetes.
    pub kubeconfig: PathBuf,
    /// The namespaces it watches; none means all.
    pub namespaces: Vec<String>,
    /// The port for webhooks. Give one of [`free_port`] when the LiveKit server must know it first.
    pub http_port: Option<u16>,
    /// Whether it takes part in leader election.
    pub leader_elect: bool,
    /// Further arguments.
    pub args: Vec<String>,
    /// Further environment.
    pub env: Vec<(String, String)>,
}

impl OperatorOptions {
    /// Watches all namespaces and elects no leader.
    pub fn new(binary: impl Into<PathBuf>, kubeconfig: impl Into<PathBuf>) -> Self {
        Self {
            binary: binary.into(),
            kubeconfig: kubeconfig.into(),
            namespaces: Vec::new(),
            http_port: None,
            leader_elect: false,
            args: Vec::new(),
            env: Vec::new(),
        }
    }

    /// Watches this namespace too.
    #[must_use]
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.namespaces.push(namespace.to_owned());
        self
    }

    /// Serves webhooks on this port.
    #[must_use]
    pub fn http_port(mut self, port: u16) -> Self {
        self.http_port = Some(port);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<const N: usize>(mut self, args: [&str; N]) -> Self {
        self.args.extend(args.map(str::to_owned));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A running operator.
///
/// It is a [`Service`]: `kill`, `terminate`, `restart`, `freeze`, `log` and so on are those of it.
#[derive(Debug)]
pub struct Operator {
    service: Service,
    http_port: u16,
    admin_port: u16,
}

impl Deref for Operator {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.service
    }
}

impl Operator {
    /// Starts it and waits until it is ready.
    pub async fn start(options: OperatorOptions) -> Self {
        let operator = Self::start_without_waiting(options);
        operator.ready().await;
        operator
    }

    /// Starts it and does not wait; [`Service::ready`] does.
    pub fn start_without_waiting(options: OperatorOptions) -> Self {
        let http_port = options.http_port.unwrap_or_else(free_port);
        let admin_port = free_port();
        let dir = TestDir::current();
        let mut launch = Launch::new(options.binary, dir.log("usher"))
            .arg("run")
            .arg(format!("--http-addr=127.0.0.1:{http_port}"))
            .arg(format!("--admin-addr=127.0.0.1:{admin_port}"))
            .arg("--log-format=json")
            .arg(format!("--leader-elect={}", options.leader_elect))
            .args(options.namespaces.iter().map(|namespace| format!("--namespace={namespace}")))
            .args(&options.args)
            .env("KUBECONFIG", &options.kubeconfig);
        for (name, value) in &options.env {
            launch = launch.env(name, value);
        }
        Self::launch(launch, (http_port, admin_port), dir)
    }

    /// Starts it as the chart's container and waits until it is ready: with these arguments and this environment, and
    /// beside them a kubeconfig, for the token of a Pod lies where there is only one.
    pub async fn start_container(binary: &Path, kubeconfig: &Path, container: &Container) -> Self {
        let dir = TestDir::current();
        let mut launch = Launch::new(binary, dir.log("usher")).args(&container.args).env("KUBECONFIG", kubeconfig);
        for (name, value) in &container.env {
            launch = launch.env(name, value);
        }
        Self::start_launch(launch, container, dir).await
    }

    /// The same for whoever has made all of the command line.
    pub async fn start_launch(launch: Launch, container: &Container, dir: TestDir) -> Self {
        let operator = Self::launch(launch, (container.port("webhooks"), container.port("admin")), dir);
        operator.ready().await;
        operator
    }

    fn launch(launch: Launch, (http_port, admin_port): (u16, u16), dir: TestDir) -> Self {
        let ready = format!("http://127.0.0.1:{admin_port}/readyz");
        let service = Service::program("usher", launch, Some(ready), dir);
        service.start_without_waiting();
        Self { service, http_port, admin_port }
    }

    /// Where it takes webhooks, without a path.
    pub fn http_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http_port)
    }

    /// Where its health and metrics are, without a path.
    pub fn admin_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.admin_port)
    }

    /// Its metrics as text.
    pub async fn metrics(&self) -> String {
        let url = format!("{}/metrics", self.admin_url());
        let reply = request(Method::GET, &url, HeaderMap::new(), Bytes::new()).await;
        let reply = reply.unwrap_or_else(|error| panic!("{url}: {error}"));
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        reply.text()
    }

    /// A metric, named as in [`metric_in`].
    pub async fn metric(&self, selector: &str) -> Option<f64> {
        metric_in(&self.metrics().await, selector)
    }
}

/// The sum of all series with this name and at least these labels, as in `usher_actions_total{kind="mute"}`; `None`
/// when there is no such series.
///
/// # Panics
///
/// When the selector has no closing brace or quote.
pub fn metric_in(metrics: &str, selector: &str) -> Option<f64> {
    let (name, wanted, _) = series(selector).unwrap_or_else(|| panic!("not a selector: {selector}"));
    let values = metrics.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (of, labels, value) = series(line)?;
        let value = value.split_whitespace().next()?.parse::<f64>().ok()?;
        (of == name && wanted.iter().all(|label| labels.contains(label))).then_some(value)
    });
    values.reduce(|sum, value| sum + value)
}

/// Takes a line apart into name, labels as they are written, and the rest.
fn series(line: &str) -> Option<(&str, Vec<&str>, &str)> {
    let end = line.find(['{', ' ']).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    let Some(mut rest) = rest.strip_prefix('{') else { return Some((name, Vec::new(), rest)) };
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((name, labels, rest));
        }
        // A label ends with the first quote after its opening one that is not escaped.
        let open = rest.find('"')? + 1;
        let mut escaped = false;
        let close = rest[open..].find(|c| {
            let closes = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            closes
        })?;
        let (label, after) = rest.split_at(open + close + 1);
        labels.push(label);
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::metric_in;

    const METRICS: &str = "\
# HELP usher_actions Actions.
usher_actions_total{kind=\"mute\",server=\"a/b\"} 2
usher_actions_total{kind=\"mute\",server=\"say \\\"hi, you\\\"}\"} 3 1700000000
usher_actions_total{kind=\"remove\",server=\"a/b\"} 4.5
usher_leader 1
";

    #[test]
    fn series_are_selected_by_name_and_some_of_their_labels() {
        assert_eq!(metric_in(METRICS, "usher_actions_total{kind=\"mute\"}"), Some(5.0));
        assert_eq!(metric_in(METRICS, "usher_actions_total{server=\"a/b\", kind=\"remove\"}"), Some(4.5));
        assert_eq!(metric_in(METRICS, "usher_actions_total{server=\"say \\\"hi, you\\\"}\"}"), Some(3.0));
        assert_eq!(metric_in(METRICS, "usher_actions_total"), Some(9.5));
        assert_eq!(metric_in(METRICS, "usher_leader"), Some(1.0));
        assert_eq!(metric_in(METRICS, "usher_leader{a=\"b\"}"), None);
        assert_eq!(metric_in(METRICS, "usher"), None);
    }
}
