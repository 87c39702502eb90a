package main

import (
	"time"

	"github.com/livekit/protocol/livekit"
)

// noICEServer replaces the servers LiveKit names, so that nobody outside the
// machine is asked for an address; nothing listens there. An empty list would
// not do: the client then falls back to a public server of its own.
var noICEServer = []*livekit.ICEServer{{Urls: []string{"stun:127.0.0.1:9"}}}

// pushCandidates hands the server the ICE candidates the client holds back,
// until that many peer connections stand.
//
// The client sends a candidate only when it has found the next one, or that
// there is none, which without a STUN server takes seconds. Where the machine
// has one address the only candidate would stay behind; the server then finds
// the client by its packets, but waits a second or more before it trusts them.
func (s *session) pushCandidates(links int32, atMost time.Duration) {
	defer recovered("pushing candidates")
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	giveUp := time.After(atMost)
	for s.links.Load() < links {
		select {
		case <-tick.C:
			_ = s.client.SendIceCandidate(nil, livekit.SignalTarget_SUBSCRIBER)
			_ = s.client.SendIceCandidate(nil, livekit.SignalTarget_PUBLISHER)
		case <-s.ended:
			return
		case <-giveUp:
			return
		}
	}
}
