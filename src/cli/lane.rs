//! A thread of its own for the way from a webhook to LiveKit.
//!
//! On a runtime with several threads each step of that way may find its next task on another one, which then has to be
//! woken; and what Kubernetes says is decoded in between. On one thread a step follows the other. One is enough: what
//! is done there waits for LiveKit nearly all of the time.

use std::{io, thread};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

/// The thread; it ends when this is dropped, with all that runs on it.
#[derive(Debug)]
pub(super) struct Lane {
    handle: Handle,
    _open: oneshot::Sender<()>,
}

impl Lane {
    /// Starts the thread.
    ///
    /// # Errors
    /// The operating system has no thread, or nothing to wait for events with.
    pub(super) fn open() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (open, closed) = oneshot::channel::<()>();
        thread::Builder::new().name("enforcement".to_owned()).spawn(move || {
            let _ = runtime.block_on(closed);
        })?;
        Ok(Self { handle, _open: open })
    }

    /// What runs there is spawned with this.
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }
}
