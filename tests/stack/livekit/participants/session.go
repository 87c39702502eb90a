package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/livekit/livekit-server/pkg/rtc/types"
	"github.com/livekit/livekit-server/test/client"
	"github.com/livekit/protocol/livekit"
)

const (
	// answerWithin bounds the wait for the server's answer to one request.
	answerWithin = 5 * time.Second
	// goodbyeWithin bounds the wait for the server to close the connection of
	// a participant that leaves.
	goodbyeWithin = time.Second
)

// session is one connection of a participant, from its WebSocket to its peer
// connections. It reports what the server sends through emit and keeps what
// later commands need.
type session struct {
	settings settings
	emit     func(event string, at time.Time, f fields)

	client *client.RTCClient
	conn   *websocket.Conn

	// connected receives the moment at which media can flow, once.
	connected chan time.Time
	// links counts the peer connections that stand: the one to receive by from
	// the start, the one to send by from the first track on.
	links atomic.Int32
	// ended is closed when nothing more comes from this connection.
	ended chan struct{}
	// released is closed when it holds no sockets any more either.
	released chan struct{}

	mu sync.Mutex
	// handle is how the client processes a response; known from the first on.
	handle client.SignalResponseHandler
	own    *livekit.ParticipantInfo
	token  string
	// quiet suppresses the closed event: the end is the caller's own doing, is
	// told by the reply to join, or was announced by the server.
	quiet bool
	// reason is why the server ended the session, when it said so. From then
	// on the session is over, even while its connection is still being closed.
	reason string
	// goodbye lets the one Leave through that the participant means. The client
	// would send one whenever it stops, even when its connection shall break.
	goodbye bool
	// asked holds the client's names of the tracks it has requested.
	asked map[string]bool
	// tracks holds what is published, by the server's names.
	tracks map[string]*localTrack
	// waiting holds who waits for which answer.
	waiting map[any]chan<- *livekit.SignalResponse
	updates uint32
}

func newSession(set settings, emit func(string, time.Time, fields)) *session {
	return &session{
		settings:  set,
		emit:      emit,
		connected: make(chan time.Time, 1),
		ended:     make(chan struct{}),
		released:  make(chan struct{}),
		// Until join is through, its reply tells what went wrong.
		quiet:   true,
		asked:   make(map[string]bool),
		tracks:  make(map[string]*localTrack),
		waiting: make(map[any]chan<- *livekit.SignalResponse),
	}
}

// takeOver keeps what an earlier session of the same participant knew.
func (s *session) takeOver(before *session) {
	s.own, s.token = before.ownInfo(), before.refreshedToken()
}

// joined is what is known at the moment a session stands.
type joined struct {
	own         *livekit.ParticipantInfo
	connectedAt time.Time
}

// connect joins with the token and waits until media can flow. When it fails,
// nothing is left of the session.
func (s *session) connect(ctx context.Context, url, token string) (joined, error) {
	conn, err := dial(ctx, url, token)
	if err != nil {
		close(s.ended)
		close(s.released)
		return joined{}, err
	}
	s.conn = conn
	s.client, err = client.NewRTCClient(conn, false, &client.Options{
		SignalRequestInterceptor:  s.request,
		SignalResponseInterceptor: s.response,
	})
	if err != nil {
		conn.Close()
		close(s.ended)
		close(s.released)
		return joined{}, err
	}
	s.client.OnConnected = func() {
		at := time.Now()
		if s.links.Add(1) == 1 {
			s.connected <- at
		}
	}
	first := make(chan *livekit.SignalResponse, 1)
	s.waiting[joinAnswer{}] = first
	go s.read()
	go s.pushCandidates(1, s.settings.joinWithin)

	var own *livekit.ParticipantInfo
	for {
		select {
		case res := <-first:
			own = res.GetJoin().GetParticipant()
		case at := <-s.connected:
			s.mu.Lock()
			s.quiet = false
			s.mu.Unlock()
			return joined{own: own, connectedAt: at}, nil
		case <-s.ended:
			return joined{}, s.whyEnded()
		case <-ctx.Done():
			s.drop()
			return joined{}, fmt.Errorf("not connected: %w", ctx.Err())
		}
	}
}

// dial opens the signal connection as the client's own function would, but
// within ctx, and says what the server objects to.
func dial(ctx context.Context, url, token string) (*websocket.Conn, error) {
	header := make(http.Header)
	client.SetAuthorizationToken(header, token)
	address := fmt.Sprintf("%s/rtc?protocol=%d&sdk=go&auto_subscribe=false",
		strings.TrimSuffix(url, "/"), types.CurrentProtocol)
	conn, res, err := websocket.DefaultDialer.DialContext(ctx, address, header)
	if errors.Is(err, websocket.ErrBadHandshake) {
		body, _ := io.ReadAll(io.LimitReader(res.Body, 1024))
		return nil, fmt.Errorf("refused with %s: %s", res.Status, strings.TrimSpace(string(body)))
	}
	return conn, err
}

// read lets the client process responses until the connection ends, and then
// cleans up after it.
func (s *session) read() {
	func() {
		defer recovered("reading")
		// What ends it is no news: it is the connection that ended.
		_ = s.client.Run()
	}()
	at := time.Now()
	s.mu.Lock()
	quiet := s.quiet
	s.quiet = true
	for _, t := range s.tracks {
		t.stop()
	}
	s.mu.Unlock()
	close(s.ended)
	if !quiet {
		s.emit("closed", at, nil)
	}

	defer close(s.released)
	defer recovered("stopping")
	s.client.Stop()
}

// over tells whether the session has ended or the server has ended it.
func (s *session) over() bool {
	select {
	case <-s.ended:
		return true
	default:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reason != ""
}

func (s *session) whyEnded() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reason != "" {
		return fmt.Errorf("left: %s", s.reason)
	}
	return errors.New("connection closed")
}

func (s *session) ownInfo() *livekit.ParticipantInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.own
}

func (s *session) refreshedToken() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token
}

// drop breaks the connection without a word and waits until it is gone.
func (s *session) drop() {
	s.mu.Lock()
	s.quiet = true
	s.mu.Unlock()
	s.conn.Close()
	select {
	case <-s.released:
	case <-time.After(answerWithin):
		log.Print("a connection does not end")
	}
}

// leave says goodbye and waits until the server has closed the connection.
func (s *session) leave() {
	s.mu.Lock()
	s.quiet = true
	s.goodbye = true
	s.mu.Unlock()
	err := s.client.SendRequest(&livekit.SignalRequest{
		Message: &livekit.SignalRequest_Leave{
			Leave: &livekit.LeaveRequest{
				Reason: livekit.DisconnectReason_CLIENT_INITIATED,
				Action: livekit.LeaveRequest_DISCONNECT,
			},
		},
	})
	if err == nil {
		select {
		case <-s.ended:
		case <-time.After(goodbyeWithin):
		}
	}
	s.drop()
}

// update changes the participant's own name, metadata or attributes.
func (s *session) update(change *livekit.UpdateParticipantMetadata) error {
	s.mu.Lock()
	s.updates++
	change.RequestId = s.updates
	s.mu.Unlock()

	res, err := s.ask(updateAnswer(change.RequestId), &livekit.SignalRequest{
		Message: &livekit.SignalRequest_UpdateMetadata{UpdateMetadata: change},
	})
	if err != nil {
		return err
	}
	return refusal(res.GetRequestResponse())
}

// refusal turns the server's answer to a request into an error, or nil.
func refusal(res *livekit.RequestResponse) error {
	if res == nil || res.Reason == livekit.RequestResponse_OK {
		return nil
	}
	return errors.New(res.Reason.String())
}

func recovered(during string) {
	if r := recover(); r != nil {
		log.Printf("%s panicked: %v\n%s", during, r, debug.Stack())
	}
}
