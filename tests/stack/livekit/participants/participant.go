package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"runtime/debug"
	"strings"
	"time"

	"github.com/livekit/protocol/livekit"
)

// errNotConnected answers commands that need a connection there is none of.
var errNotConnected = errors.New("not connected")

// participant outlives its connections: the handle a test uses, the tokens and
// what was last known of it. Its commands are carried out one after the other.
type participant struct {
	handle   string
	settings settings
	out      *output
	// commands is deep enough for a test to queue what it likes without one
	// slow participant holding up the others.
	commands chan command

	// The rest belongs to run.

	url        string
	firstToken string
	session    *session
}

func newParticipant(handle string, set settings, out *output) *participant {
	return &participant{handle: handle, settings: set, out: out, commands: make(chan command, 1024)}
}

// run carries out commands until there are no more, then leaves.
func (p *participant) run(ctx context.Context) {
	for cmd := range p.commands {
		reply, err := p.do(ctx, cmd)
		if err != nil {
			p.out.fail(cmd.ID, err)
		} else {
			p.out.succeed(cmd.ID, reply)
		}
	}
	if p.connected() {
		p.session.leave()
	}
}

// do carries out one command. A panic of the client library becomes the
// command's error, so that it costs one participant and not the process.
func (p *participant) do(ctx context.Context, cmd command) (reply fields, err error) {
	defer func() {
		if r := recover(); r != nil {
			log.Printf("%s: %s panicked: %v\n%s", p.handle, cmd.Do, r, debug.Stack())
			err = fmt.Errorf("panic: %v", r)
		}
	}()

	switch cmd.Do {
	case "join":
		return p.join(ctx, cmd)
	case "reconnect":
		return p.reconnect(ctx, cmd)
	case "info":
		return p.info()
	}

	if !p.connected() {
		return nil, errNotConnected
	}
	switch cmd.Do {
	case "publish":
		return p.publish(cmd)
	case "unpublish":
		return nil, p.session.unpublish(cmd.Track)
	case "mute":
		if cmd.Muted == nil {
			return nil, errors.New("mute needs muted")
		}
		return nil, p.session.mute(cmd.Track, *cmd.Muted)
	case "update":
		return nil, p.update(cmd)
	case "drop":
		p.session.drop()
		return nil, nil
	case "leave":
		p.session.leave()
		return nil, nil
	}
	return nil, fmt.Errorf("unknown command %q", cmd.Do)
}

func (p *participant) connected() bool {
	return p.session != nil && !p.session.over()
}

func (p *participant) join(ctx context.Context, cmd command) (fields, error) {
	if p.connected() {
		return nil, errors.New("joined already")
	}
	if cmd.URL == "" || cmd.Token == "" {
		return nil, errors.New("join needs url and token")
	}
	p.url, p.firstToken = cmd.URL, cmd.Token
	// What an earlier life learned does not belong to this one.
	p.session = nil
	return p.connect(ctx, cmd.Token)
}

func (p *participant) reconnect(ctx context.Context, cmd command) (fields, error) {
	if p.firstToken == "" {
		return nil, errors.New("never joined")
	}
	token := p.firstToken
	switch cmd.With {
	case "first":
	case "refreshed":
		if p.session == nil || p.session.refreshedToken() == "" {
			return nil, errors.New("no refreshed token has arrived")
		}
		token = p.session.refreshedToken()
	default:
		return nil, fmt.Errorf(`reconnect with "first" or "refreshed", not %q`, cmd.With)
	}
	if p.connected() {
		p.session.drop()
	}
	return p.connect(ctx, token)
}

// connect opens a session in place of the one before, from which it takes over
// what is known.
func (p *participant) connect(ctx context.Context, token string) (fields, error) {
	ctx, cancel := context.WithTimeout(ctx, p.settings.joinWithin)
	defer cancel()

	before := p.session
	s := newSession(p.settings, func(name string, at time.Time, f fields) {
		p.out.event(p.handle, name, at, f)
	})
	if before != nil {
		s.takeOver(before)
	}
	p.session = s
	join, err := s.connect(ctx, p.url, token)
	if err != nil {
		return nil, err
	}
	return fields{
		"sid":          join.own.GetSid(),
		"identity":     join.own.GetIdentity(),
		"connected_at": timestamp(join.connectedAt),
		"participant":  asJSON(join.own),
	}, nil
}

func (p *participant) publish(cmd command) (fields, error) {
	kind, ok := mediaKinds[cmd.Media]
	if !ok {
		return nil, fmt.Errorf(`publish media "audio" or "video", not %q`, cmd.Media)
	}
	source, ok := livekit.TrackSource_value[cmd.Source]
	if !ok {
		return nil, fmt.Errorf("there is no source %q", cmd.Source)
	}
	sid, err := p.session.publish(cmd.Label, kind, livekit.TrackSource(source))
	if err != nil {
		return nil, err
	}
	return fields{"track": sid}, nil
}

func (p *participant) update(cmd command) error {
	request := &livekit.UpdateParticipantMetadata{Attributes: cmd.Attributes}
	if cmd.Name != nil {
		request.Name = *cmd.Name
	}
	if cmd.Metadata != nil {
		request.Metadata = *cmd.Metadata
	}
	return p.session.update(request)
}

func (p *participant) info() (fields, error) {
	if p.session == nil {
		return nil, errors.New("never joined")
	}
	return fields{
		"connected": p.connected(),
		"info":      asJSON(p.session.ownInfo()),
		"claims":    claims(p.session.refreshedToken()),
	}, nil
}

// claims returns the payload of a token, unverified; null for none.
func claims(token string) json.RawMessage {
	parts := strings.Split(token, ".")
	if len(parts) == 3 {
		if payload, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil && json.Valid(payload) {
			return payload
		}
	}
	return json.RawMessage("null")
}
