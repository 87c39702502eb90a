//! The two servers, and participants of them.

use std::time::Duration;

use futures::{StreamExt, stream};
use serde_json::{Map, Value, json};
use usher::{
    livekit::Credentials,
    simulator::{Options, Publication, Running},
};
use usher_testkit::{ApiKey, LiveKit, LiveKitOptions, Participant, Participants};

use crate::{
    case::{Case, Member},
    run::{self, Observed},
};

const SOON: Duration = Duration::from_secs(20);

pub fn key() -> ApiKey {
    ApiKey::new("devkey", "a-secret-for-tests-of-at-least-32-bytes")
}

/// A kind of server: one as LiveKit's configuration has it, and one that allows remote unmute.
pub enum Stage {
    Real { plain: Box<LiveKit>, unmuting: Box<LiveKit>, participants: Participants },
    Simulated { plain: Running, unmuting: Running },
}

/// Those who have joined; on the real server they leave when this is dropped.
pub struct Company(Vec<Participant>);

impl Stage {
    pub async fn real() -> Self {
        let start = async |enable_remote_unmute| {
            let keys = vec![key()];
            LiveKit::start(LiveKitOptions { enable_remote_unmute, keys, ..LiveKitOptions::default() }).await
        };
        let options = usher_testkit::ParticipantsOptions { others: false };
        Self::Real {
            plain: Box::new(start(false).await),
            unmuting: Box::new(start(true).await),
            participants: Participants::start_with(&options),
        }
    }

    pub async fn simulated() -> Self {
        let start = async |remote_unmute| {
            let ApiKey { key, secret } = key();
            let keys = vec![Credentials::new(key, secret)];
            Running::start(Options { keys, remote_unmute, ..Options::default() }).await.unwrap()
        };
        Self::Simulated { plain: start(false).await, unmuting: start(true).await }
    }

    pub fn url(&self, remote_unmute: bool) -> String {
        match self {
            Self::Real { plain, unmuting, .. } => if remote_unmute { unmuting } else { plain }.url(),
            Self::Simulated { plain, unmuting } => if remote_unmute { unmuting } else { plain }.url(),
        }
    }

    /// Goes through the cases, some at once, and observes them in their order.
    pub async fn play(self, cases: &[Case], at_once: usize) -> Vec<Observed> {
        let stage = &self;
        let observed = cases.iter().enumerate().map(|(number, case)| run::observe(stage, case, number));
        stream::iter(observed).buffered(at_once).collect().await
    }

    /// Lets somebody join and publish, and waits until the server shows it.
    pub async fn join(&self, company: &mut Company, case: &Case, room: &str, member: &Member) {
        let token = token(room, member);
        match self {
            Self::Real { plain, unmuting, participants } => {
                let livekit = if case.remote_unmute { unmuting } else { plain };
                let participant = participants.try_join(&livekit.ws_url(), &token, member.identity).await.unwrap();
                let shown = async || {
                    let seen = livekit.participant(room, member.identity).await.unwrap_or_default();
                    let tracks = seen["tracks"].as_array().map_or(0, Vec::len);
                    let active = seen["state"] == "ACTIVE" && tracks == member.tracks.len();
                    if active { Ok(()) } else { Err(seen.to_string()) }
                };
                for (media, source) in &member.tracks {
                    let track = participant.publish(media, source, "label").await;
                    participant.wait_published(&track, SOON).await;
                }
                usher_testkit::eventually(SOON, "to be shown", shown).await;
                if !member.tracks.is_empty() {
                    // What else a track brings: it becomes a publisher.
                    participant.wait_quiet(Duration::from_millis(500), SOON).await;
                }
                company.0.push(participant);
            }
            Self::Simulated { plain, unmuting } => {
                let simulator = if case.remote_unmute { unmuting } else { plain }.simulator();
                simulator.join(simulator.admit(&token).unwrap()).unwrap();
                for (media, source) in &member.tracks {
                    let source = livekit_protocol::TrackSource::from_str_name(source).unwrap();
                    let media = livekit_protocol::TrackType::from_str_name(&media.to_uppercase()).unwrap();
                    let publication = Publication { media, name: "label".into(), ..Publication::of(source) };
                    simulator.publish(room, member.identity, &publication).unwrap().unwrap();
                }
            }
        }
    }
}

impl Company {
    pub fn new() -> Self {
        Self(Vec::new())
    }
}

fn token(room: &str, member: &Member) -> String {
    let mut claims: Map<String, Value> = member.claims.as_object().cloned().unwrap_or_default();
    claims.insert("sub".to_owned(), json!(member.identity));
    let video = claims.entry("video").or_insert_with(|| json!({}));
    video["roomJoin"] = json!(true);
    video["room"] = json!(room);
    key().sign(claims, Duration::from_secs(3600))
}
