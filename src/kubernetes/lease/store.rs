//! The Lease at the API server.

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, api::PostParams};
use tokio::sync::Notify;

use crate::kubernetes::{MANAGER, hub::Sink};

/// Where the Lease is. A trait, so that the election can be tested in a stopped time.
pub(super) trait Store {
    /// The Lease, if there is one.
    fn get(&self) -> impl Future<Output = Result<Option<Lease>, Failure>> + Send;

    /// Writes it, if it is still as its resourceVersion says; without one, if there is none yet. The answer is the
    /// Lease afterwards.
    fn put(&self, lease: Lease) -> impl Future<Output = Result<Lease, Failure>> + Send;
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Somebody else has written, created or deleted it meanwhile.
    #[error("somebody else was faster")]
    Outdated,
    #[error(transparent)]
    Refused(#[from] kube::Error),
    #[error("no answer in time")]
    Timeout,
}

/// The Lease of a name at the API server.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub api: Api<Lease>,
    pub name: String,
}

impl Store for Stored {
    async fn get(&self) -> Result<Option<Lease>, Failure> {
        Ok(self.api.get_opt(&self.name).await?)
    }

    async fn put(&self, lease: Lease) -> Result<Lease, Failure> {
        let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let is_new = lease.metadata.resource_version.is_none();
        let written = if is_new {
            self.api.create(&params, &lease).await
        } else {
            self.api.replace(&self.name, &params, &lease).await
        };
        written.map_err(|error| match &error {
            // Not found is also what is said of a namespace that is not there.
            kube::Error::Api(status) if status.code == 409 || (status.code == 404 && !is_new) => Failure::Outdated,
            _ => error.into(),
        })
    }
}

/// Notices that the Lease has changed.
pub(super) struct Changed<'a>(pub &'a Notify);

impl Sink<Lease> for Changed<'_> {
    fn reset(&self, _: Vec<Lease>) {
        self.0.notify_one();
    }

    fn apply(&self, _: Lease) {
        self.0.notify_one();
    }

    fn delete(&self, _: Lease) {
        self.0.notify_one();
    }

    fn forbidden(&self, _: &str) {}
}
