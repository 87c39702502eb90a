use std::fmt;

/// What a [`Reason`] makes of the conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Ready is True; neither Reconciling nor Stalled is there.
    Ready,
    /// Ready is False and Reconciling True: it heals by itself, or when another object changes.
    Reconciling,
    /// Ready is False and Stalled True: the spec must change.
    Stalled,
}

/// Writes each reason once, with what it means, what helps and what it makes of the conditions, so that none of these
/// can drift from the others.
macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident => $outcome:ident,)+) => {
        /// The reason of condition Ready, and of Reconciling or Stalled beside it. The text of each says what it means and
        /// what helps; the message in the object names the thing concerned.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Reason {
            /// All of them, in the order of this file.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The text as it stands in a condition.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }

            /// What it makes of the conditions.
            #[must_use]
            pub const fn outcome(self) -> Outcome {
                match self {
                    $(Self::$name => Outcome::$outcome,)+
                }
            }
        }
    };
}

reasons! {
    /// What is declared is enforced in all rooms in session.
    Enforced => Ready,
    /// No room in session is governed; the first one that starts will be.
    NoActiveRooms => Ready,
    /// Mode Audit: what would be done has been counted, and nothing done.
    Audited => Ready,
    /// The object or its LiveKitServer has `suspend: true`, so nothing is done. Set it to false to go on.
    Suspended => Ready,

    /// The first look after a start or a change is not complete. Wait.
    Progressing => Reconciling,
    /// The LiveKitServer that serverRef names does not exist. Create it, or create the object anew with another
    /// serverRef.
    ServerNotFound => Reconciling,
    /// No access entry of the LiveKitServer covers this namespace and these rooms. Let its owner add one.
    NotPermitted => Reconciling,
    /// The Secret with the API keys does not exist, lacks a key, or no credentials are given. Create it, or correct
    /// spec.credentials.
    SecretNotFound => Reconciling,
    /// The operator may not read the Secret or ConfigMap in the LiveKitServer's namespace. Name it in the chart's
    /// serverNamespaces, or run the commands that the message shows.
    SecretForbidden => Reconciling,
    /// What the Secret holds cannot be used: an empty key, a keys file without lines "apiKey: secret", or a
    /// LIVEKIT_URL with another host than spec.url. Correct the Secret.
    SecretInvalid => Reconciling,
    /// The ConfigMap with the private CA does not exist or lacks the key. Create it, or correct spec.caBundle.
    CaBundleNotFound => Reconciling,
    /// What the ConfigMap holds is no certificate in PEM. Correct the ConfigMap.
    CaBundleInvalid => Reconciling,
    /// The LiveKit server refuses the API key. Put a key and secret that it knows into the Secret.
    Unauthorized => Reconciling,
    /// The LiveKit server does not answer, or not as a LiveKit server. Check spec.url, its network and certificate.
    ServerUnreachable => Reconciling,
    /// The LiveKit server answers that requests come too fast. Lower spec.requests.perSecond, or raise its quota.
    RateLimited => Reconciling,
    /// Some participants are not as declared, for the LiveKit server refused; status.samples says who and why. It is
    /// tried again.
    EnforcementFailed => Reconciling,
    /// Unmuting needs the option room.enable_remote_unmute of the LiveKit server. Switch it on there, or remove
    /// `muted: false`.
    RemoteUnmuteDisabled => Reconciling,
    /// A participant of the same identity is in the destination otherwise than as a copy, so it is neither forwarded
    /// nor moved there. It is tried again when that one has left.
    IdentityInUse => Reconciling,
    /// Something else ends the copies of a forward again and again, so they are made less often, every 5 minutes at
    /// least. Find it, or narrow the forward.
    UndoneByOthers => Reconciling,
    /// Moves send a participant back and forth, so the lower-placed one has stopped for it. Narrow one of the two.
    MoveLoop => Reconciling,

    /// The spec contradicts itself or holds a pattern that does not compile. Correct it; meanwhile its last valid
    /// generation stands.
    Invalid => Stalled,
    /// The LiveKit server cannot forward or move, which LiveKit Cloud alone can. Delete the object, or create it anew
    /// for another server.
    UnsupportedByServer => Stalled,
    /// Another LiveKitServer, earlier by namespace and name, has the same host, port and API key; this one is idle.
    /// Remove one of the two.
    Conflicted => Stalled,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_what_conditions_allow() {
        for reason in Reason::ALL {
            assert!(reason.as_str().chars().all(|char| char.is_ascii_alphanumeric()), "{reason}");
        }
    }

    #[test]
    fn stalled_only_where_the_spec_must_change() {
        let stalled = Reason::ALL.iter().filter(|reason| reason.outcome() == Outcome::Stalled);
        assert_eq!(stalled.collect::<Vec<_>>(), [&Reason::Invalid, &Reason::UnsupportedByServer, &Reason::Conflicted]);
    }
}
