// Participants drives many real WebRTC participants from one process.
//
// Tests tell it what to do with one JSON object per line on standard input and
// read replies and events, one JSON object per line, from standard output; see
// the README of the stack for the protocol. Each participant is LiveKit's own
// test client, so what it reports is what a browser would have seen.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/livekit/livekit-server/pkg/telemetry/prometheus"
	"github.com/livekit/protocol/livekit"
	"github.com/livekit/protocol/logger"
)

// leaveWithin bounds how long the process waits for its participants to say
// goodbye when it ends.
const leaveWithin = 5 * time.Second

// settings are the same for every participant of the process.
type settings struct {
	joinWithin time.Duration
	others     bool
}

func main() {
	log.SetFlags(log.Ltime | log.Lmicroseconds)
	log.SetPrefix("participants: ")

	var set settings
	flag.DurationVar(&set.joinWithin, "join-timeout", 10*time.Second, "how long one join may take")
	flag.BoolVar(&set.others, "others", true, "report what the server says about other participants of the room")
	libraryLog := flag.String("library-log", "", "level (debug, info, warn, error) at which LiveKit's client logs to standard error; nothing when empty")
	flag.Parse()

	if *libraryLog != "" {
		logger.InitFromConfig(&logger.Config{Level: *libraryLog}, "participants")
	}
	// The client shares transport code with the server, which counts into
	// metrics that crash when they were not set up.
	if err := prometheus.Init("participants", livekit.NodeType_SERVER); err != nil {
		log.Fatalf("setting up metrics: %v", err)
	}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	out := &output{w: os.Stdout}
	lines := make(chan []byte)
	go readLines(os.Stdin, lines)
	serve(ctx, set, lines, out)
}

// serve hands each command to its participant until there are no more commands
// or ctx ends, and then lets everybody leave.
func serve(ctx context.Context, set settings, lines <-chan []byte, out *output) {
	var everybody sync.WaitGroup
	participants := make(map[string]*participant)

	for open := true; open; {
		select {
		case <-ctx.Done():
			open = false
		case line, ok := <-lines:
			if !ok {
				open = false
				break
			}
			cmd, err := parseCommand(line)
			if err != nil {
				out.fail(cmd.ID, err)
				break
			}
			p := participants[cmd.Participant]
			if p == nil {
				p = newParticipant(cmd.Participant, set, out)
				participants[cmd.Participant] = p
				everybody.Go(func() { p.run(ctx) })
			}
			p.commands <- cmd
		}
	}

	for _, p := range participants {
		close(p.commands)
	}
	gone := make(chan struct{})
	go func() {
		everybody.Wait()
		close(gone)
	}()
	// The wait is bounded only from the moment on at which nothing is left to
	// be done but to leave: commands read before the end of input still count.
	select {
	case <-gone:
		return
	case <-ctx.Done():
	}
	select {
	case <-gone:
	case <-time.After(leaveWithin):
		log.Print("some participants did not leave in time")
	}
}

// readLines sends every line of r and closes lines at the end of input.
func readLines(r io.Reader, lines chan<- []byte) {
	defer close(lines)
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 1 {
			lines <- line
		}
		if err != nil {
			if err != io.EOF {
				log.Printf("reading commands: %v", err)
			}
			return
		}
	}
}

// parseCommand decodes one line. The command it returns beside an error has at
// least the id, when one could be read, so that the caller gets an answer.
func parseCommand(line []byte) (command, error) {
	var cmd command
	if err := json.Unmarshal(line, &cmd); err != nil {
		return cmd, fmt.Errorf("not a command: %w", err)
	}
	if cmd.Participant == "" {
		return cmd, fmt.Errorf("command %q names no participant", cmd.Do)
	}
	return cmd, nil
}
