package trust

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"

	"plimsoll/internal/durable"
	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// memory is what a client remembers of one collection between refreshes: the
// trusted metadata files by role, and the pins that they rest on.
type memory interface {
	read(role string) ([]byte, error) // NotFound if nothing is remembered
	write(role string, file []byte) error
	remove(role string) error
	pins() (Pins, error) // NotFound if nothing is remembered
	writePins(p Pins) error
	damaged(role string, err error) error
}

// state is memory in a folder. Roles are locked by [openState]; delegated roles
// are only a cache and may be written by several processes.
type state struct {
	dir  *os.Root
	lock *durable.Lock
	name string                   // of the folder, in messages
	file func(role string) string // name of a role's file
}

// collectionDir ends the folder of a GUN. No path element of a GUN can begin
// with an underscore, so that no GUN's folder is another's file.
const collectionDir = "_trust"

const pinsFile = "pins" // no role's file: those end in ".json"

// openState opens and locks the state of gun below path.
func openState(ctx context.Context, path string, gun ref.GUN) (*state, error) {
	top, err := openDir(path)
	if err != nil {
		return nil, err
	}
	defer top.Close()
	dir, err := subDir(top, string(gun)+"/"+collectionDir)
	if err != nil {
		return nil, err
	}
	return lockState(ctx, dir, filepath.Join(path, string(gun), collectionDir), stateName)
}

// lockState locks the state in dir, which it takes over and calls name; file gives
// the names of roles' files.
func lockState(ctx context.Context, dir *os.Root, name string, file func(role string) string) (*state, error) {
	lock, err := lockFile(ctx, dir, ".lock")
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return &state{dir: dir, lock: lock, name: name, file: file}, nil
}

func (s *state) close() error { return errors.Join(s.lock.Release(), s.dir.Close()) }

// stateName returns the name of role's file. Capitals are escaped too: where a
// file system takes "Root" and "root" for one, a role that somebody delegated to
// must not write over the trusted root.
func stateName(role string) string { return percent(role, lowerCase) + ".json" }

func (s *state) read(role string) ([]byte, error) {
	return readFile(s.dir, s.file(role), maxFile)
}

func (s *state) write(role string, file []byte) error {
	return writeFile(s.dir, s.file(role), file, 0o600)
}

func (s *state) remove(role string) error { return removeFile(s.dir, s.file(role)) }

func (s *state) pins() (Pins, error) {
	b, err := readFile(s.dir, pinsFile, 1<<20)
	if err != nil {
		return Pins{}, err
	}
	var p Pins
	if err := json.Unmarshal(b, &p); err != nil || p.Check() != nil {
		return Pins{}, s.damaged(pinsFile, errors.New("not the pins that were written"))
	}
	return p, nil
}

func (s *state) writePins(p Pins) error {
	b, err := json.Marshal(p.normal())
	if err != nil {
		return err
	}
	return writeFile(s.dir, pinsFile, b, 0o600)
}

// damaged is the error for state that is not what was written. It is never
// reset silently: that would forget which versions were seen.
func (s *state) damaged(role string, err error) error {
	err = fault.Errorf(fault.Untrusted, "remembered %s metadata in %q is damaged: %w", role, s.name, err)
	return fault.Hint(err, "look at the disk and at who can write there; removing the folder %s forgets which versions were seen", s.name)
}

// overlay is memory that keeps what is written to itself: for looking without
// leaving a trace.
type overlay struct {
	base  memory // nil for none
	files map[string][]byte
	p     *Pins
}

func newOverlay(base memory) *overlay { return &overlay{base: base, files: map[string][]byte{}} }

func (o *overlay) read(role string) ([]byte, error) {
	if file, ok := o.files[role]; ok && file != nil {
		return file, nil
	} else if ok || o.base == nil {
		return nil, fault.Errorf(fault.NotFound, "nothing is remembered of role %q", role)
	}
	return o.base.read(role)
}

func (o *overlay) write(role string, file []byte) error { o.files[role] = file; return nil }
func (o *overlay) remove(role string) error             { o.files[role] = nil; return nil }
func (o *overlay) writePins(p Pins) error               { o.p = &p; return nil }

func (o *overlay) pins() (Pins, error) {
	if o.p != nil {
		return *o.p, nil
	}
	if o.base == nil {
		return Pins{}, fault.Errorf(fault.NotFound, "no pins are remembered")
	}
	return o.base.pins()
}

func (o *overlay) damaged(role string, err error) error {
	if o.base == nil {
		return fault.Errorf(fault.Untrusted, "%s metadata: %w", role, err)
	}
	return o.base.damaged(role, err)
}
