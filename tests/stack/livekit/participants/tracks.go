package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"

	"github.com/livekit/livekit-server/test/client"
	"github.com/livekit/protocol/livekit"
)

// sampleEvery is how often a track sends a packet. The server only needs the
// first to take the track for published; hundreds of participants that sent at
// the rate of real media would leave no processor time to what is tested.
const sampleEvery = 200 * time.Millisecond

// frame is a payload both codecs pass on without looking into it.
var frame = []byte{0x00, 0xff, 0xff, 0xff, 0xff}

// mediaKind is a kind of track, as LiveKit calls it and with the codec sent.
type mediaKind struct {
	kind livekit.TrackType
	mime string
}

var mediaKinds = map[string]mediaKind{
	"audio": {livekit.TrackType_AUDIO, webrtc.MimeTypeOpus},
	"video": {livekit.TrackType_VIDEO, webrtc.MimeTypeVP8},
}

// localTrack is a track the participant publishes.
type localTrack struct {
	// done is closed to end what sends samples.
	done    chan struct{}
	stopped bool
}

// stop is called with the session's lock held.
func (t *localTrack) stop() {
	if !t.stopped {
		t.stopped = true
		close(t.done)
	}
}

// publish asks the server for a track with this claimed source, and when it is
// granted sends media. It returns the server's name for the track.
//
// The client library would add the track to its peer connection first and wait
// five seconds for a grant that a refusal never gives, and it has no notion of
// sources. So the request is made here, and the library's own kept back.
func (s *session) publish(label string, kind mediaKind, source livekit.TrackSource) (string, error) {
	cid := rand.Text()
	res, err := s.ask(trackAnswer(cid), &livekit.SignalRequest{
		Message: &livekit.SignalRequest_AddTrack{AddTrack: &livekit.AddTrackRequest{
			Cid:             cid,
			Name:            label,
			Type:            kind.kind,
			Source:          source,
			SimulcastCodecs: []*livekit.SimulcastCodec{{Cid: cid, Codec: kind.mime}},
		}},
	})
	if err != nil {
		return "", err
	}
	if err := refusal(res.GetRequestResponse()); err != nil {
		return "", err
	}
	sid := res.GetTrackPublished().GetTrack().GetSid()
	if sid == "" {
		return "", errors.New("the server granted no track")
	}

	track, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: kind.mime}, cid, cid)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	local := s.tracks[sid]
	s.mu.Unlock()
	if local == nil {
		return "", errors.New("the server took the track back")
	}
	if _, err := s.client.AddTrack(track, "", client.AddTrackNoWriter()); err != nil {
		return "", err
	}
	go send(track, local.done)
	go s.pushCandidates(2, answerWithin)

	// The server may have taken the grant back meanwhile, before there was
	// anything for the client to remove.
	s.mu.Lock()
	revoked := local.stopped
	s.mu.Unlock()
	if revoked {
		return sid, s.remove(sid)
	}
	return sid, nil
}

// send writes samples until done is closed. What is written before the peer
// connection stands is lost, which is no loss.
func send(track *webrtc.TrackLocalStaticSample, done <-chan struct{}) {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			_ = track.WriteSample(media.Sample{Data: frame, Duration: sampleEvery})
		}
	}
}

// granted notes a track the server allows, from when on it may take it back.
func (s *session) granted(sid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tracks[sid] = &localTrack{done: make(chan struct{})}
}

// unpublish takes a track away. The server notices when the peer connection has
// been renegotiated, so the reply means that this has begun.
func (s *session) unpublish(sid string) error {
	if !s.forget(sid) {
		return fmt.Errorf("no track %q is published", sid)
	}
	return s.remove(sid)
}

// remove makes the client take a track from its peer connection. It does so
// only on the server's word, which is why it gets that word here.
func (s *session) remove(sid string) error {
	s.mu.Lock()
	handle := s.handle
	s.mu.Unlock()
	return handle(&livekit.SignalResponse{
		Message: &livekit.SignalResponse_TrackUnpublished{
			TrackUnpublished: &livekit.TrackUnpublishedResponse{TrackSid: sid},
		},
	})
}

// forget ends the sending of a track; false when there is no such track.
func (s *session) forget(sid string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.tracks[sid]
	if ok {
		t.stop()
		delete(s.tracks, sid)
	}
	return ok
}

// mute tells the server that the participant muted or unmuted its own track.
// The server answers only to refuse; otherwise the change comes as an update.
func (s *session) mute(sid string, muted bool) error {
	s.mu.Lock()
	_, ok := s.tracks[sid]
	s.mu.Unlock()
	if !ok {
		return fmt.Errorf("no track %q is published", sid)
	}
	return s.client.SendRequest(&livekit.SignalRequest{
		Message: &livekit.SignalRequest_Mute{
			Mute: &livekit.MuteTrackRequest{Sid: sid, Muted: muted},
		},
	})
}
