//! `usher suspend`, `usher resume` and `usher sync`.

use clap::Args;
use serde_json::json;

use super::{
    object::{ObjectArgs, is_observed},
    process,
};
use crate::api::RECONCILE_REQUESTED_AT;

/// Stop the enforcement of an object, until it is resumed.
///
/// Example: usher suspend roompolicy webinar -n events
///
/// It sets spec.suspend. Participants stay as they are, or become what the next policy in line says.
#[derive(Debug, Args)]
pub(super) struct Suspend {
    #[command(flatten)]
    object: ObjectArgs,
}

/// Go on with the enforcement of an object that is suspended.
///
/// Example: usher resume roompolicy webinar -n events --wait
///
/// It sets spec.suspend to false.
#[derive(Debug, Args)]
pub(super) struct Resume {
    #[command(flatten)]
    object: ObjectArgs,
}

/// Have all rooms that an object governs looked at now.
///
/// Example: usher sync livekitserver main -n livekit --wait
///
/// It sets the annotation usher.dev/reconcile-requested-at; when the rooms have been looked at, the operator writes its
/// value to status.lastHandledReconcileAt, for which --wait waits.
#[derive(Debug, Args)]
pub(super) struct Sync {
    #[command(flatten)]
    object: ObjectArgs,
}

impl Suspend {
    pub(super) fn execute(&self) -> anyhow::Result<()> {
        process::block_on(set_suspend(&self.object, true))
    }
}

impl Resume {
    pub(super) fn execute(&self) -> anyhow::Result<()> {
        process::block_on(set_suspend(&self.object, false))
    }
}

async fn set_suspend(args: &ObjectArgs, suspend: bool) -> anyhow::Result<()> {
    let object = args.reach().await?;
    object.patch(&json!({"spec": {"suspend": suspend}})).await?;
    if args.wait {
        object.wait_until("the operator's word on it", is_observed).await?;
    }
    object.say(if suspend { "suspended" } else { "resumed" });
    Ok(())
}

impl Sync {
    pub(super) fn execute(&self) -> anyhow::Result<()> {
        process::block_on(sync(&self.object))
    }
}

async fn sync(args: &ObjectArgs) -> anyhow::Result<()> {
    let object = args.reach().await?;
    let now = jiff::Timestamp::now().to_string();
    object.patch(&json!({"metadata": {"annotations": {RECONCILE_REQUESTED_AT: &now}}})).await?;
    if !args.wait {
        object.say("is asked to be looked at");
        return Ok(());
    }
    let is_done = |object: &kube::api::DynamicObject| object.data["status"]["lastHandledReconcileAt"] == *now;
    object.wait_until("the look at its rooms", is_done).await?;
    object.say("has been looked at");
    Ok(())
}
