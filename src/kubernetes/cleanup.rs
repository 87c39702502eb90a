//! What is left to do when the operator is taken away for good: its finalizer stands on ParticipantForwards, and nobody
//! would take it off any more.

use std::time::Duration;

use kube::{
    Api, Client,
    api::{DeleteParams, ListParams},
    core::PartialObjectMeta,
};
use tokio::time::{Instant, sleep, timeout};

use super::finalizer::set_finalizers;
use crate::{
    api::{FORWARD_FINALIZER, ParticipantForward},
    policy::ObjectName,
};

/// The operator lets go of a deleted forward within a minute, whatever is unreachable. Where one stays for longer,
/// there is no operator.
const OPERATOR_WITHIN: Duration = Duration::from_secs(75);
/// Between two looks.
const BETWEEN: Duration = Duration::from_secs(2);
/// For one request.
const CALL_WITHIN: Duration = Duration::from_secs(10);
/// How often finalizers are looked for before it is clear that an operator puts them back on.
const ROUNDS: u32 = 30;

/// Why not all was done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused.
    #[error("the API server refused: {0}")]
    Refused(#[from] kube::Error),
    /// It did not answer.
    #[error("the API server does not answer within {CALL_WITHIN:?}")]
    Timeout,
    /// Somebody puts the finalizer back on.
    #[error("ParticipantForwards get the finalizer again: an operator still runs; end it first")]
    StillRunning,
}

/// Which forwards, and what is to become of them.
#[derive(Clone, Debug)]
pub struct Cleanup {
    /// Those of these namespaces; of all where there is none.
    pub namespaces: Vec<String>,
    /// Delete them while the operator runs, so that it ends their copies. Otherwise they stay, as do their copies.
    pub delete: bool,
}

/// What was done to how many forwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// They were deleted.
    pub deleted: usize,
    /// The finalizer was taken off.
    pub released: usize,
}

type Forward = PartialObjectMeta<ParticipantForward>;

impl Cleanup {
    /// Does it.
    ///
    /// # Errors
    /// What stands in the way: see [`Error`].
    pub async fn perform(&self, client: &Client) -> Result<Cleaned, Error> {
        let deleted = if self.delete { self.delete_all(client).await? } else { 0 };
        let mut released = 0;
        // Until nothing was found twice: an operator that is ending may have put one back on.
        let mut found_nothing = 0;
        for _ in 0..ROUNDS {
            let mut found = 0;
            for forward in self.list(client).await? {
                found += usize::from(release(client, &forward).await?);
            }
            released += found;
            found_nothing = if found == 0 { found_nothing + 1 } else { 0 };
            if found_nothing == 2 {
                return Ok(Cleaned { deleted, released });
            }
            sleep(BETWEEN).await;
        }
        Err(Error::StillRunning)
    }

    async fn delete_all(&self, client: &Client) -> Result<usize, Error> {
        let until = Instant::now() + OPERATOR_WITHIN;
        let mut deleted = 0;
        loop {
            let left = self.list(client).await?;
            if left.is_empty() || Instant::now() > until {
                return Ok(deleted);
            }
            for forward in left.iter().filter(|forward| forward.metadata.deletion_timestamp.is_none()) {
                let (api, name) = api_of(client, forward);
                deleted += usize::from(call(api.delete(&name.name, &DeleteParams::default())).await?.is_some());
            }
            sleep(BETWEEN).await;
        }
    }

    async fn list(&self, client: &Client) -> Result<Vec<Forward>, Error> {
        let apis: Vec<Api<ParticipantForward>> = if self.namespaces.is_empty() {
            vec![Api::all(client.clone())]
        } else {
            self.namespaces.iter().map(|namespace| Api::namespaced(client.clone(), namespace)).collect()
        };
        let mut forwards = Vec::new();
        for api in apis {
            // Where there are no CustomResourceDefinitions there is nothing to do.
            let listed = call(api.list_metadata(&ListParams::default())).await?;
            forwards.extend(listed.into_iter().flat_map(|list| list.items));
        }
        Ok(forwards)
    }
}

/// Takes our finalizer off a forward, if it is there.
async fn release(client: &Client, forward: &Forward) -> Result<bool, Error> {
    let finalizers = forward.metadata.finalizers.clone().unwrap_or_default();
    if !finalizers.iter().any(|finalizer| finalizer == FORWARD_FINALIZER) {
        return Ok(false);
    }
    let (_, name) = api_of(client, forward);
    let version = forward.metadata.resource_version.clone().unwrap_or_default();
    let others: Vec<String> = finalizers.into_iter().filter(|finalizer| finalizer != FORWARD_FINALIZER).collect();
    match call(set_finalizers(client.clone(), &name, &version, &others)).await {
        // Changed meanwhile: the next round sees how it is now.
        Err(Error::Refused(kube::Error::Api(status))) if status.code == 409 => Ok(true),
        done => Ok(done?.is_some()),
    }
}

fn api_of(client: &Client, forward: &Forward) -> (Api<ParticipantForward>, ObjectName) {
    let namespace = forward.metadata.namespace.clone().unwrap_or_default();
    let name = forward.metadata.name.clone().unwrap_or_default();
    (Api::namespaced(client.clone(), &namespace), ObjectName::new(&namespace, &name))
}

/// Makes a request; `None` where there is no such thing. Whoever asked for the cleanup does it again where it failed in
/// passing, as a Job does.
async fn call<T>(request: impl Future<Output = kube::Result<T>>) -> Result<Option<T>, Error> {
    match timeout(CALL_WITHIN, request).await {
        Ok(Ok(done)) => Ok(Some(done)),
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Ok(None),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(Error::Timeout),
    }
}
