package audit

import (
	"encoding/json"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"plimsoll/internal/fault"
)

// Proof shows, to whoever has the log's verifier key and nothing else, that the
// log holds an event (RFC 6962 section 2.1.1, "Merkle Audit Paths").
type Proof struct {
	Log        string          `json:"log"`
	Index      int64           `json:"index"`
	Event      json.RawMessage `json:"event"` // the entry's exact bytes: the leaf is SHA-256(0x00 || event)
	Leaf       tlog.Hash       `json:"leaf"`  // base64
	Path       []tlog.Hash     `json:"path"`  // base64, from the leaf upwards
	Checkpoint string          `json:"checkpoint"`
}

// Prove returns the proof for the event at index. NotFound if there is no such
// event, Conflict if it is promised and not yet published.
func (r *Reader) Prove(index int64) (*Proof, error) {
	switch {
	case index < 0 || index >= r.Size():
		return nil, fault.Errorf(fault.NotFound, "audit log: there is no event %d: the log has %d", index, r.Size())
	case index >= r.tree.N:
		return nil, fault.Errorf(fault.Conflict, "audit log: event %d is not under a checkpoint yet", index)
	}
	entries, err := r.bundle(index / tileWidth)
	if err != nil {
		return nil, err
	}
	entry := entries[index%tileWidth]
	path, err := tlog.ProveRecord(r.tree.N, index, tlog.TileHashReader(r.tree, tiles{r.root}))
	if err != nil {
		return nil, fault.Errorf(fault.Untrusted, "audit log: prove event %d: %w", index, err)
	}
	p := &Proof{
		Log: r.verifier.Name(), Index: index, Event: entry,
		Leaf: tlog.RecordHash(entry), Path: path, Checkpoint: string(r.checkpoint),
	}
	return p, p.Check(r.verifier)
}

// Check reports, Untrusted, if the proof does not show what it says.
func (p *Proof) Check(v note.Verifier) error {
	t, err := OpenCheckpoint([]byte(p.Checkpoint), v)
	if err != nil {
		return err
	}
	if p.Leaf != tlog.RecordHash(p.Event) {
		return fault.Errorf(fault.Untrusted, "proof: the event's bytes do not have the leaf's hash")
	}
	if err := tlog.CheckRecord(p.Path, t.N, t.Hash, p.Index, p.Leaf); err != nil {
		return fault.Errorf(fault.Untrusted, "proof: event %d is not in the tree: %w", p.Index, err)
	}
	return nil
}
