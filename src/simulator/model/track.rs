//! A published track.

use livekit_protocol::{
    BackupCodecPolicy, SimulcastCodecInfo, TimedVersion, TrackInfo, TrackSource, TrackType, video_layer,
};

use super::sid::Sid;
use crate::simulator::clock::Moment;

/// What somebody publishes: what it is, and what it is said to be, which nobody checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// What it is.
    pub media: TrackType,
    /// What its publisher says it is.
    pub source: TrackSource,
    /// Its label.
    pub name: String,
    /// Published silent.
    pub muted: bool,
}

impl Publication {
    /// A track of this source and of the type that belongs to it.
    #[must_use]
    pub fn of(source: TrackSource) -> Self {
        let media = match source {
            TrackSource::Microphone | TrackSource::ScreenShareAudio => TrackType::Audio,
            TrackSource::Camera | TrackSource::ScreenShare | TrackSource::Unknown => TrackType::Video,
        };
        Self { media, source, name: String::new(), muted: false }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Track {
    pub(super) sid: Sid,
    pub(super) media: TrackType,
    pub(super) source: TrackSource,
    pub(super) name: Box<str>,
    pub(super) muted: bool,
    pub(super) published: Moment,
    /// Its number in the session, which becomes its `mid`.
    pub(super) mid: u32,
}

impl Track {
    pub(super) fn prefix(publication: &Publication) -> &'static str {
        match (publication.media, publication.source) {
            (TrackType::Data, _) => "TR_D",
            (_, TrackSource::Microphone) => "TR_AM",
            (_, TrackSource::Camera) => "TR_VC",
            (_, TrackSource::ScreenShare) => "TR_VS",
            (_, TrackSource::ScreenShareAudio) => "TR_As",
            (TrackType::Audio, TrackSource::Unknown) => "TR_A",
            (TrackType::Video, TrackSource::Unknown) => "TR_V",
        }
    }

    pub(super) fn info(&self) -> TrackInfo {
        let (mime, mode, backup) = match self.media {
            TrackType::Audio => ("audio/opus", video_layer::Mode::Unused, BackupCodecPolicy::Simulcast),
            TrackType::Video | TrackType::Data => {
                ("video/VP8", video_layer::Mode::OneSpatialLayerPerStream, BackupCodecPolicy::PreferRegression)
            }
        };
        // As LiveKit's own clients group them.
        let stream = match self.source {
            TrackSource::ScreenShare | TrackSource::ScreenShareAudio => "screen",
            TrackSource::Camera | TrackSource::Microphone | TrackSource::Unknown => "camera",
        };
        let mid = self.mid.to_string();
        let codec = SimulcastCodecInfo {
            mime_type: mime.into(),
            mid: mid.clone(),
            cid: self.sid.to_string().split_off(3),
            video_layer_mode: mode.into(),
            ..Default::default()
        };
        TrackInfo {
            sid: self.sid.to_string(),
            r#type: self.media.into(),
            name: self.name.to_string(),
            muted: self.muted,
            source: self.source.into(),
            mime_type: mime.into(),
            mid,
            codecs: vec![codec],
            stream: stream.into(),
            version: Some(TimedVersion { unix_micro: self.published.micros(), ticks: 0 }),
            backup_codec_policy: backup.into(),
            ..Default::default()
        }
    }
}
