package main

import (
	"encoding/json"
	"io"
	"log"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// command is one line of input. Which fields matter depends on Do; pointers
// tell an absent field from an empty one.
type command struct {
	ID          uint64 `json:"id"`
	Do          string `json:"do"`
	Participant string `json:"participant"`

	// join
	URL   string `json:"url"`
	Token string `json:"token"`
	// publish
	Label  string `json:"label"`
	Media  string `json:"media"`
	Source string `json:"source"`
	// unpublish, mute
	Track string `json:"track"`
	Muted *bool  `json:"muted"`
	// update
	Name       *string           `json:"name"`
	Metadata   *string           `json:"metadata"`
	Attributes map[string]string `json:"attributes"`
	// reconnect
	With string `json:"with"`
}

// fields are what a reply or an event says beyond what all of them say.
type fields map[string]any

// output writes replies and events, each as one line in one write, so that
// lines of different participants never mix.
type output struct {
	mu sync.Mutex
	w  io.Writer
}

// succeed answers the command with this id.
func (o *output) succeed(id uint64, f fields) {
	line := fields{"reply": id, "ok": true}
	for k, v := range f {
		line[k] = v
	}
	o.write(line)
}

// fail answers the command with this id by what went wrong.
func (o *output) fail(id uint64, err error) {
	o.write(fields{"reply": id, "error": err.Error()})
}

// event reports what happened to a participant; at is when its message arrived.
func (o *output) event(participant, name string, at time.Time, f fields) {
	line := fields{"event": name, "participant": participant, "at": timestamp(at)}
	for k, v := range f {
		line[k] = v
	}
	o.write(line)
}

func (o *output) write(f fields) {
	line, err := json.Marshal(f)
	if err != nil {
		log.Printf("encoding %v: %v", f, err)
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, err := o.w.Write(append(line, '\n')); err != nil {
		log.Fatalf("nobody reads the events any more: %v", err)
	}
}

func timestamp(t time.Time) string {
	return t.UTC().Format(time.RFC3339Nano)
}

// inSnakeCase is how the server's HTTP API writes messages, too. Fields that
// hold their default are written, because a test reads "not allowed" from them.
var inSnakeCase = protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: true}

// asJSON encodes a message of LiveKit; nil becomes null.
func asJSON[M interface {
	comparable
	proto.Message
}](m M) json.RawMessage {
	var none M
	if m == none {
		return json.RawMessage("null")
	}
	data, err := inSnakeCase.Marshal(m)
	if err != nil {
		log.Printf("encoding %T: %v", m, err)
		return json.RawMessage("null")
	}
	return data
}
