package main

import (
	"errors"
	"time"

	"github.com/livekit/livekit-server/test/client"
	"github.com/livekit/protocol/livekit"
)

// What a command can wait for: the kind of answer and which request it is to.
type (
	joinAnswer   struct{}
	updateAnswer uint32
	trackAnswer  string
)

// ask sends a request and waits for the response that answers it.
func (s *session) ask(about any, req *livekit.SignalRequest) (*livekit.SignalResponse, error) {
	answer := make(chan *livekit.SignalResponse, 1)
	s.mu.Lock()
	s.waiting[about] = answer
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.waiting, about)
		s.mu.Unlock()
	}()

	if err := s.client.SendRequest(req); err != nil {
		return nil, err
	}
	select {
	case res := <-answer:
		return res, nil
	case <-s.ended:
		return nil, s.whyEnded()
	case <-time.After(answerWithin):
		return nil, errors.New("the server did not answer")
	}
}

// answer hands a response to the command that waits for it, if any.
func (s *session) answer(about any, res *livekit.SignalResponse) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	waiting, ok := s.waiting[about]
	if ok {
		waiting <- res
		delete(s.waiting, about)
	}
	return ok
}

// request sees everything the client sends.
func (s *session) request(req *livekit.SignalRequest, next client.SignalRequestHandler) error {
	switch m := req.Message.(type) {
	case *livekit.SignalRequest_Leave:
		s.mu.Lock()
		goodbye := s.goodbye
		s.goodbye = false
		s.mu.Unlock()
		if !goodbye {
			return nil
		}
	case *livekit.SignalRequest_AddTrack:
		// publish has asked before it gave the client the track, see there.
		s.mu.Lock()
		asked := s.asked[m.AddTrack.Cid]
		s.asked[m.AddTrack.Cid] = true
		s.mu.Unlock()
		if asked {
			return nil
		}
	}
	return next(req)
}

// response sees everything the server sends, in the order in which it arrives.
// Whatever is reported bears the time taken here, before anything is done.
func (s *session) response(res *livekit.SignalResponse, next client.SignalResponseHandler) error {
	at := time.Now()
	s.mu.Lock()
	s.handle = next
	s.mu.Unlock()

	switch m := res.Message.(type) {
	case *livekit.SignalResponse_Join:
		// Nobody outside the machine is to be asked for an address.
		m.Join.IceServers = noICEServer
		s.learn(m.Join.Participant)
		for _, info := range m.Join.OtherParticipants {
			s.reportOther(info, at)
		}
		s.answer(joinAnswer{}, res)

	case *livekit.SignalResponse_Update:
		for _, info := range m.Update.Participants {
			if info.Sid == s.ownInfo().GetSid() {
				s.learn(info)
				s.emit("updated", at, fields{"info": asJSON(info)})
			} else {
				s.reportOther(info, at)
			}
		}

	case *livekit.SignalResponse_Mute:
		s.emit("muted", at, fields{"track": m.Mute.Sid, "muted": m.Mute.Muted})

	case *livekit.SignalResponse_TrackPublished:
		// publish goes on only after the client knows of the track.
		err := next(res)
		s.granted(m.TrackPublished.Track.GetSid())
		s.answer(trackAnswer(m.TrackPublished.Cid), res)
		return err

	case *livekit.SignalResponse_TrackUnpublished:
		s.forget(m.TrackUnpublished.TrackSid)
		s.emit("unpublished", at, fields{"track": m.TrackUnpublished.TrackSid})

	case *livekit.SignalResponse_RequestResponse:
		s.settle(res, at)

	case *livekit.SignalResponse_RefreshToken:
		s.mu.Lock()
		s.token = m.RefreshToken
		s.mu.Unlock()
		s.emit("token", at, nil)

	case *livekit.SignalResponse_Leave:
		s.mu.Lock()
		s.quiet = true
		s.reason = m.Leave.Reason.String()
		s.mu.Unlock()
		s.emit("left", at, fields{"reason": m.Leave.Reason.String(), "action": m.Leave.Action.String()})
		// The server closes its side at once; a client must not wait for it.
		s.conn.Close()
	}
	return next(res)
}

// learn keeps the participant's own state as the server last told it.
func (s *session) learn(info *livekit.ParticipantInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.own = info
}

func (s *session) reportOther(info *livekit.ParticipantInfo, at time.Time) {
	if s.settings.others {
		s.emit("other", at, fields{"info": asJSON(info)})
	}
}

// settle hands the server's verdict on a request to the command that asked. One
// nobody waits for, such as of a mute, which the server only answers when it
// refuses, is reported.
func (s *session) settle(res *livekit.SignalResponse, at time.Time) {
	verdict := res.GetRequestResponse()
	request := "other"
	switch r := verdict.Request.(type) {
	case *livekit.RequestResponse_AddTrack:
		if verdict.Reason == livekit.RequestResponse_QUEUED {
			return // the track follows
		}
		if s.answer(trackAnswer(r.AddTrack.Cid), res) {
			return
		}
		request = "publish"
	case *livekit.RequestResponse_UpdateMetadata:
		if s.answer(updateAnswer(verdict.RequestId), res) {
			return
		}
		request = "update"
	case *livekit.RequestResponse_Mute:
		request = "mute"
	}
	if err := refusal(verdict); err != nil {
		s.emit("refused", at, fields{"request": request, "reason": err.Error()})
	}
}
