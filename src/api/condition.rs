//! The types of the conditions in status.

/// Always there. True: what the object declares holds, or will hold as soon as there is somebody it speaks of; also
/// while it is suspended or no room is in session, or pipelines would wait for ever.
pub const READY: &str = "Ready";
/// There only while true, as kstatus reads it: not ready, and it can become ready without a change of the spec.
pub const RECONCILING: &str = "Reconciling";
/// There only while true, as kstatus reads it: not ready, and the spec must change.
pub const STALLED: &str = "Stalled";
/// There only while true: every effect of the policy is shadowed everywhere; the message names the winner. Ready says
/// nothing about it, for nothing is wrong with the participants.
pub const OVERRIDDEN: &str = "Overridden";
/// The only reason of [`OVERRIDDEN`].
pub const OVERRIDDEN_REASON: &str = "Shadowed";
