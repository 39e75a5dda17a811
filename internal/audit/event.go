package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
	"plimsoll/internal/verdict"
)

// Kind says what an event tells.
type Kind string

// The kinds of event.
const (
	Decided   Kind = "decision" // the gate decided
	Recovered Kind = "recovery" // the end of an unfinished write was removed
)

// Event is one entry of the log.
type Event struct {
	Index    int64             `json:"index"` // position in the log, from 0
	Time     time.Time         `json:"time"`
	Kind     Kind              `json:"kind"`
	Decision *verdict.Decision `json:"decision,omitempty"` // of [Decided], without its receipt
	// Whole is the SHA-256 of the decision's JSON if evidence lines or text had
	// to be left out here for the event to fit.
	Whole ref.Digest `json:"whole,omitempty"`
	Cut   *Cut       `json:"cut,omitempty"` // of [Recovered]
}

// Cut is what was removed from the end of the journal.
type Cut struct {
	Bytes  int64      `json:"bytes"`
	Digest ref.Digest `json:"digest"` // of the removed bytes
}

// ParseEvent returns the event that one entry of the log holds. Fields that a
// newer version wrote are passed over: the tree covers the bytes, not their
// meaning.
func ParseEvent(b []byte) (*Event, error) {
	if len(b) > maxEvent {
		return nil, fault.Errorf(fault.Invalid, "event of %d bytes is longer than %d", len(b), maxEvent)
	}
	if bytes.IndexByte(b, '\n') >= 0 {
		return nil, fault.Errorf(fault.Invalid, "event is not one line")
	}
	var e Event
	dec := json.NewDecoder(bytes.NewReader(b))
	if err := dec.Decode(&e); err != nil {
		return nil, fault.Errorf(fault.Invalid, "event: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fault.Errorf(fault.Invalid, "event: text after the object")
	}
	if e.Kind == "" || (e.Kind == Decided) != (e.Decision != nil) {
		return nil, fault.Errorf(fault.Invalid, "event of kind %q does not hold what that kind tells", e.Kind)
	}
	return &e, nil
}

// shape is how much of a decision is kept: lines of evidence per reason, and
// bytes of each text; -1 for all.
type shape struct{ lines, text int }

// shapes are tried in this order until a decision fits. The last fits whatever
// a registry or a rule's message says, so that nobody can keep a denial out of
// the log by making it long.
var shapes = []shape{{-1, -1}, {16, -1}, {4, -1}, {1, -1}, {0, -1}, {0, 1024}, {0, 128}, {0, 0}}

// encodeDecision returns the entry for d. If it would be too long, evidence and
// then text are left out, evenly, and the digest of the whole stands in for
// them.
func encodeDecision(index int64, now time.Time, d *verdict.Decision) ([]byte, error) {
	kept := *d
	kept.Receipt = nil
	whole, err := json.Marshal(&kept)
	if err != nil {
		return nil, fault.Errorf(fault.Internal, "encode decision: %w", err)
	}
	event := Event{Index: index, Time: now.UTC(), Kind: Decided, Decision: &kept}
	for _, s := range shapes {
		if s != shapes[0] {
			event.Whole = digest.FromBytes(whole)
			s.cut(&kept, d)
		}
		b, err := json.Marshal(&event)
		if err != nil {
			return nil, fault.Errorf(fault.Internal, "encode event: %w", err)
		}
		if len(b) <= maxEvent {
			return b, nil
		}
	}
	return nil, fault.Errorf(fault.Invalid, "the decision does not fit into %d bytes, whatever is left out", maxEvent)
}

// cut makes kept a copy of d that has the shape.
func (s shape) cut(kept, d *verdict.Decision) {
	kept.Image, kept.Team, kept.Environment, kept.Caller = s.short(d.Image), s.short(d.Team), s.short(d.Environment), s.short(d.Caller)
	kept.Reasons = make([]verdict.Reason, len(d.Reasons))
	for i, r := range d.Reasons {
		r.Evidence = r.Evidence[:min(s.lines, len(r.Evidence))]
		r.Message, r.Hint = s.short(r.Message), s.short(r.Hint)
		kept.Reasons[i] = r
	}
}

func (s shape) short(text string) string {
	if s.text < 0 || len(text) <= s.text {
		return text
	}
	return strings.ToValidUTF8(text[:s.text], "") + "…"
}

func encodeRecovery(index int64, now time.Time, cut []byte) ([]byte, error) {
	b, err := json.Marshal(&Event{
		Index: index, Time: now.UTC(), Kind: Recovered,
		Cut: &Cut{Bytes: int64(len(cut)), Digest: digest.FromBytes(cut)},
	})
	if err != nil {
		return nil, fault.Errorf(fault.Internal, "encode event: %w", err)
	}
	return b, nil
}
