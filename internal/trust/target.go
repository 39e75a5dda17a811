package trust

import (
	"context"
	"fmt"
	"io"
	"maps"
	"path"
	"strings"

	"plimsoll/internal/fault"
)

// Target is a file as a targets role describes it (4.5).
type Target struct {
	Path   string            // as it was asked for
	Role   string            // who describes it
	Length int64             // bytes
	Hashes map[string]string // by algorithm, hex
	prefix string            // what the repository puts before the file's name
}

// Target returns the file called name from the most trusted role that has it.
// NotFound if none has; Untrusted if the search comes upon a role that cannot be
// verified, or finds no hash of a kind that is known here.
func (t *Trusted) Target(ctx context.Context, name string) (*Target, error) {
	ctx, cancel := context.WithTimeout(ctx, t.limits.Time)
	defer cancel()
	f, err := t.lookup(ctx, name)
	if err != nil {
		return nil, err
	}
	all := &Target{Path: name, Role: f.role, Length: f.target.Length, Hashes: maps.Clone(f.target.Hashes)}
	for _, a := range algorithms {
		sum := f.target.Hashes[a.name]
		if sum == "" {
			continue
		}
		if t.root.Signed.Consistent {
			all.prefix = sum + "."
		}
		return all, nil
	}
	return nil, fault.Errorf(fault.Untrusted, "%q has no hash of a kind that is known here", name)
}

// URLPath returns where the file lies below the repository's base URL of targets
// (5.7.3): each element is escaped, the last one begins with a hash if the
// repository keeps consistent snapshots.
func (f *Target) URLPath() string {
	dir, base := path.Split(f.Path)
	elements := strings.Split(dir+f.prefix+base, "/")
	for i, e := range elements {
		elements[i] = escape(e)
	}
	return strings.Join(elements, "/")
}

// Receive copies the file from src to dst and checks its length and hashes. It
// reads at most one byte more than the file should have. What was written before
// an Untrusted error must not be used.
func (f *Target) Receive(dst io.Writer, src io.Reader) error {
	s := hashes(f.Hashes).sums()
	n, err := io.Copy(io.MultiWriter(dst, s), io.LimitReader(src, f.Length+1))
	if err != nil {
		return fault.As(fault.Unavailable, fmt.Errorf("target %q: %w", f.Path, err))
	}
	if n != f.Length {
		err = fault.Errorf(fault.Untrusted, "not %d bytes long", f.Length)
	} else {
		err = s.check()
	}
	if err != nil {
		return fmt.Errorf("target %q: %w", f.Path, err)
	}
	return nil
}
