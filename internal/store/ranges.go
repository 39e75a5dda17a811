//go:build unix

// Package store keeps what a host must remember: which user IDs are whose.
package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"

	"plimsoll/internal/durable"
	"plimsoll/internal/fault"
	"plimsoll/internal/idmap"
)

// RangesConfig says where ranges are written down. Empty SubUID and SubGID mean
// the host's own files.
type RangesConfig struct {
	File           string // the table, JSON; its lock is the file beside it that ends in .lock
	SubUID, SubGID string // files as subuid(5) describes
}

// Ranges is the one allocator of user IDs on a host (DESIGN.md decision 13). Any
// number of processes may use one table; each change is durable when its call
// returns.
type Ranges struct{ config RangesConfig }

// NewRanges returns the allocator over config. Nothing is read yet.
func NewRanges(config RangesConfig) *Ranges {
	if config.SubUID == "" {
		config.SubUID = "/etc/subuid"
	}
	if config.SubGID == "" {
		config.SubGID = "/etc/subgid"
	}
	return &Ranges{config}
}

// table is the file's content: the first ID of each slot by its holder.
type table struct {
	Range      idmap.Range       `json:"range"`
	Containers map[string]uint32 `json:"containers"`
	Teams      map[string]uint32 `json:"teams"`
}

const maxTable = 4 << 20 // bytes

// holder is what may hold a slot: a container's ID or a team's name.
var holder = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,127}$`)

// Take gives the container id the lowest free slot, or the one that it has.
// Unavailable if none is free.
func (r *Ranges) Take(ctx context.Context, id string) (idmap.Range, error) {
	var slot idmap.Range
	err := r.change(ctx, id, func(t *table) (bool, error) {
		return hold(t, t.Containers, id, t.Range.Lowest, &slot)
	})
	return slot, err
}

// Team returns the slot that owns the team's files on disk. It is given once and
// kept for good.
func (r *Ranges) Team(ctx context.Context, name string) (idmap.Range, error) {
	var slot idmap.Range
	err := r.change(ctx, name, func(t *table) (bool, error) {
		return hold(t, t.Teams, name, t.Range.Highest, &slot)
	})
	return slot, err
}

// Free takes the container's slot back. It is no error if it has none. Nothing
// of the container may be running any more.
func (r *Ranges) Free(ctx context.Context, id string) error {
	return r.change(ctx, id, func(t *table) (bool, error) {
		_, held := t.Containers[id]
		delete(t.Containers, id)
		return held, nil
	})
}

// Containers returns the slots of all containers, by holder.
func (r *Ranges) Containers(ctx context.Context) (map[string]idmap.Range, error) {
	all := map[string]idmap.Range{}
	err := r.change(ctx, "containers", func(t *table) (bool, error) {
		for name, base := range t.Containers {
			all[name] = idmap.Range{Base: base, Size: idmap.SlotSize}
		}
		return false, nil
	})
	return all, err
}

func hold(t *table, holders map[string]uint32, name string, find func(map[uint32]bool) (idmap.Range, error), slot *idmap.Range) (bool, error) {
	if base, ok := holders[name]; ok {
		*slot = idmap.Range{Base: base, Size: idmap.SlotSize}
		return false, nil
	}
	s, err := find(t.taken())
	if err != nil {
		return false, err
	}
	holders[name], *slot = s.Base, s
	return true, nil
}

func (t *table) taken() map[uint32]bool {
	all := make(map[uint32]bool, len(t.Containers)+len(t.Teams))
	for _, holders := range []map[string]uint32{t.Containers, t.Teams} {
		for _, base := range holders {
			all[base] = true
		}
	}
	return all
}

// change calls f with the table, alone on this host, and writes the table back
// if f changed it.
func (r *Ranges) change(ctx context.Context, name string, f func(*table) (changed bool, err error)) (err error) {
	if !holder.MatchString(name) {
		return fault.Errorf(fault.Invalid, "%q cannot hold user IDs: not a lower-case name", name)
	}
	lock, err := durable.Acquire(ctx, r.config.File+".lock")
	if err != nil {
		return fault.As(fault.Unavailable, err)
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	t, err := r.read()
	if err != nil {
		return fmt.Errorf("user IDs of this host: %w", err)
	}
	changed, err := f(t)
	if err != nil || !changed {
		return err
	}
	b, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return fmt.Errorf("user IDs of this host: %w", err)
	}
	return fault.As(fault.Unavailable, durable.WriteFile(r.config.File, b, 0o600))
}

// read returns the table, checked against what the host's files say now.
func (r *Ranges) read() (*table, error) {
	host, err := r.hostRange()
	if err != nil {
		return nil, err
	}
	t := &table{Containers: map[string]uint32{}, Teams: map[string]uint32{}}
	b, err := durable.ReadFile(r.config.File, maxTable)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	default:
		if err := json.Unmarshal(b, t); err != nil {
			return nil, fault.Errorf(fault.Invalid, "%q: %w", r.config.File, err)
		}
	}
	if len(t.Containers)+len(t.Teams) == 0 {
		t.Range = host
	}
	if t.Range != host {
		err := fault.Errorf(fault.Conflict, "the range is now %s, but slots of %s are held (%q)", host, t.Range, r.config.File)
		return nil, fault.Hint(err, "give plimsoll its old range %d:%d back in /etc/subuid and /etc/subgid", t.Range.Base, t.Range.Size)
	}
	return t, t.check()
}

// check refuses a table in which somebody holds what is no slot, or two hold
// the same.
func (t *table) check() error {
	seen := map[uint32]string{}
	for _, holders := range []map[string]uint32{t.Containers, t.Teams} {
		for name, base := range holders {
			if t.Range.Index(base) < 0 {
				return fault.Errorf(fault.Invalid, "%q holds %d, which is no slot of %s", name, base, t.Range)
			}
			if other, twice := seen[base]; twice {
				return fault.Errorf(fault.Invalid, "%q and %q hold the same user IDs", name, other)
			}
			seen[base] = name
		}
	}
	return nil
}

func (r *Ranges) hostRange() (idmap.Range, error) {
	uids, err := readSubIDs(r.config.SubUID)
	if err != nil {
		return idmap.Range{}, err
	}
	gids, err := readSubIDs(r.config.SubGID)
	if err != nil {
		return idmap.Range{}, err
	}
	return idmap.HostRange(uids, gids)
}

func readSubIDs(file string) ([]idmap.SubID, error) {
	b, err := durable.ReadFile(file, maxTable)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.As(fault.Unavailable, err)
	}
	all, err := idmap.ParseSubIDs(b)
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", file, err)
	}
	return all, nil
}
