package trust

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

const (
	maxRecord  = 1 << 20
	recordFile = "_publisher.json" // below the GUN's folder; no path element of a GUN begins with an underscore
	pinFile    = "pins.json"
)

// Record is what a publisher's machine remembers of a collection: which keys it
// holds, and how long what it signs is valid. Which roles the keys speak for
// stands in the signed metadata. It holds no secret.
type Record struct {
	GUN      ref.GUN           `json:"gun"`
	Keys     []HeldKey         `json:"keys"`
	Expiries map[string]string `json:"expiries,omitempty"` // by role, as time.Duration prints
	Begun    []string          `json:"begun,omitempty"`    // IDs of the ceremonies that began here, newest last
}

// HeldKey is a key that this machine can open.
type HeldKey struct {
	Fingerprint string `json:"fingerprint"`
	URI         string `json:"uri"`
}

// Hold adds or replaces a key.
func (r *Record) Hold(k HeldKey) {
	for i := range r.Keys {
		if r.Keys[i].Fingerprint == k.Fingerprint {
			r.Keys[i] = k
			return
		}
	}
	r.Keys = append(r.Keys, k)
}

// maxBegun is how many ceremonies a record remembers.
const maxBegun = 32

// Begin remembers that a ceremony began on this machine.
func (r *Record) Begin(c *Ceremony) {
	r.Begun = append(slices.DeleteFunc(r.Begun, func(id string) bool { return id == c.ID() }), c.ID())
	r.Begun = r.Begun[max(0, len(r.Begun)-maxBegun):]
}

// Began reports whether the ceremony began on this machine.
func (r *Record) Began(c *Ceremony) bool { return slices.Contains(r.Begun, c.ID()) }

// URI returns the URI of the key with that fingerprint, or "".
func (r *Record) URI(fingerprint string) string {
	for _, k := range r.Keys {
		if k.Fingerprint == fingerprint {
			return k.URI
		}
	}
	return ""
}

// Times returns the expiries that differ from the default.
func (r *Record) Times() (Expiries, error) {
	e := Expiries{}
	for role, text := range r.Expiries {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			return nil, fault.Errorf(fault.Invalid, "expiry of role %q: %q is not a time", role, text)
		}
		e[role] = d
	}
	return e, nil
}

// Records keeps publishers' records in a folder.
type Records struct{ path string }

// NewRecords returns the records in the folder at path.
func NewRecords(path string) *Records { return &Records{path} }

// Load returns the record of gun, an empty one if there is none.
func (s *Records) Load(gun ref.GUN) (*Record, error) {
	r := &Record{GUN: gun}
	if err := readDocument(s.path, string(gun)+"/"+recordFile, r); err != nil {
		return nil, err
	}
	if r.GUN != gun {
		return nil, fault.Errorf(fault.Invalid, "the record of %q in %q is another repository's, %q", gun, s.path, r.GUN)
	}
	return r, nil
}

// Save writes r durably, readable by its owner only.
func (s *Records) Save(r *Record) error {
	dir, err := openDir(s.path)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := dir.MkdirAll(string(r.GUN), 0o700); err != nil {
		return fault.As(fault.Unavailable, err)
	}
	return writeDocument(dir, string(r.GUN)+"/"+recordFile, r)
}

// PinFile keeps the pins that a person set by hand, for where no policy speaks
// about a repository.
type PinFile struct{ path string }

// NewPinFile returns the pins in the folder at path.
func NewPinFile(path string) *PinFile { return &PinFile{path} }

// Pins returns the pins of gun; NotFound, with a hint, if nobody set any.
func (s *PinFile) Pins(gun ref.GUN) (Pins, error) {
	all := map[ref.GUN]Pins{}
	if err := readDocument(s.path, pinFile, &all); err != nil {
		return Pins{}, err
	}
	p, ok := all[gun]
	if !ok {
		err := fault.Errorf(fault.Untrusted, "no root keys are pinned for %q", gun)
		return Pins{}, fault.Hint(err, "plimsoll trust pin %s shows what to pin", gun)
	}
	return p, p.Check()
}

// Set pins the keys of gun. If keep is set, pins that are there already stay.
func (s *PinFile) Set(ctx context.Context, gun ref.GUN, p Pins, keep bool) (err error) {
	if err := p.Check(); err != nil {
		return err
	}
	dir, err := openDir(s.path)
	if err != nil {
		return err
	}
	defer dir.Close()
	lock, err := lockFile(ctx, dir, ".lock")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	all := map[ref.GUN]Pins{}
	if err := readDocument(s.path, pinFile, &all); err != nil {
		return err
	}
	if _, there := all[gun]; there && keep {
		return nil
	}
	all[gun] = p.normal()
	return writeDocument(dir, pinFile, all)
}

// readDocument reads the JSON file name below path into v, which stays as it is
// if there is no file.
func readDocument(path, name string, v any) error {
	dir, err := os.OpenRoot(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return fault.As(fault.Unavailable, err)
	}
	defer dir.Close()
	b, err := readFile(dir, name, maxRecord)
	if fault.Is(err, fault.NotFound) {
		return nil
	} else if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fault.Errorf(fault.Invalid, "file %q in %q: %w", name, path, err)
	}
	return nil
}

func writeDocument(dir *os.Root, name string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(dir, name, append(b, '\n'), 0o600)
}
