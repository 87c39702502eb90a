//! The operator as its users run it, on a folder of manifests.

use std::{ops::Deref, path::Path};

use http::{HeaderMap, Method};
use usher_testkit::{Launch, Service, TestDir, free_port, metric_in, request};

/// The running operator.
pub struct Operator {
    service: Service,
    admin: String,
}

impl Deref for Operator {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.service
    }
}

impl Operator {
    /// Starts it and waits until it is ready.
    pub async fn start(program: &Path, folder: &Path, port: u16) -> Self {
        let (dir, admin_port) = (TestDir::current(), free_port());
        let launch = Launch::new(program, dir.log("usher"))
            .args(["run", "--from"])
            .arg(folder)
            .arg(format!("--http-addr=127.0.0.1:{port}"))
            .arg(format!("--admin-addr=127.0.0.1:{admin_port}"))
            .arg("--log-format=json");
        let admin = format!("http://127.0.0.1:{admin_port}");
        let service = Service::program("usher", launch, Some(format!("{admin}/readyz")), dir);
        service.start().await;
        Self { service, admin }
    }

    /// A metric of its own, named as in [`metric_in`].
    pub async fn metric(&self, selector: &str) -> f64 {
        let reply = request(Method::GET, &format!("{}/metrics", self.admin), HeaderMap::new(), "").await;
        let text = reply.expect("the operator answers").text();
        metric_in(&text, selector).unwrap_or_else(|| panic!("no {selector} in {text}"))
    }
}
