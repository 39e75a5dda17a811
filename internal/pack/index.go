package pack

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"plimsoll/internal/advisory"
	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

const (
	indexName = "index.json"
	indexForm = 1       // raised when an older program could misread it
	indexMax  = 4 << 20 // bytes
)

// index names the current packs.
type index struct {
	Form  int    `json:"form"`
	Packs []Info `json:"packs"` // sorted by ecosystem, each once
}

// readIndex returns the index of dir, an empty one if there is none.
func readIndex(dir string) (*index, error) {
	f, err := os.Open(filepath.Join(dir, indexName))
	if errors.Is(err, fs.ErrNotExist) {
		return &index{Form: indexForm}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read index of advisories: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, indexMax+1))
	if err != nil {
		return nil, fmt.Errorf("read index of advisories: %w", err)
	}
	if len(b) > indexMax {
		return nil, fault.Errorf(fault.Invalid, "index of advisories: larger than %d bytes", indexMax)
	}
	x := new(index)
	if err := json.Unmarshal(b, x); err != nil {
		return nil, fault.Errorf(fault.Invalid, "index of advisories: %w", err)
	}
	return x, x.check()
}

func (x *index) check() error {
	if x.Form != indexForm {
		return fault.Errorf(fault.Invalid, "index of advisories: form %d is not known to this version", x.Form)
	}
	for i, p := range x.Packs {
		if _, err := ref.ParseDigest(string(p.Digest)); err != nil || p.Digest.Algorithm() != "sha256" {
			return fault.Errorf(fault.Invalid, "index of advisories: pack %q has the digest %q", p.Ecosystem, p.Digest)
		}
		if p.AsOf.IsZero() {
			return fault.Errorf(fault.Invalid, "index of advisories: pack %q has no date", p.Ecosystem)
		}
		if i > 0 && p.Ecosystem <= x.Packs[i-1].Ecosystem {
			return fault.Errorf(fault.Invalid, "index of advisories: pack %q is out of order", p.Ecosystem)
		}
	}
	return nil
}

func (x *index) find(e advisory.Ecosystem) (Info, bool) {
	for _, p := range x.Packs {
		if p.Ecosystem == e {
			return p, true
		}
	}
	return Info{}, false
}

func (x *index) write(dir string) error {
	b, err := json.MarshalIndent(x, "", "  ")
	if err != nil {
		return err
	}
	return replace(dir, indexName, append(b, '\n'))
}
