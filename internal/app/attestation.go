package app

import (
	"io"
	"os"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
)

// maxRoots bounds a file of a maker's roots, in bytes.
const maxRoots = 256 << 10

// TokenMakers returns the makers of tokens whose attestations are believed: those
// that are built in, and those that the settings name. A file that cannot be
// read is an error: a maker that is left out would make its tokens seem false.
func (s Settings) TokenMakers() (key.AttestationRoots, error) {
	roots := key.BuiltinAttestationRoots()
	if s.AttestationRoots == "" {
		return roots, nil
	}
	for pair := range strings.SplitSeq(s.AttestationRoots, ",") {
		name, file, ok := strings.Cut(strings.TrimSpace(pair), "=")
		if !ok || file == "" {
			return roots, fault.Errorf(fault.Invalid, "attestation roots %q: want NAME=FILE, separated by commas", s.AttestationRoots)
		}
		text, err := readBounded(file, maxRoots)
		if err != nil {
			return roots, fault.Errorf(fault.Invalid, "attestation roots %q: %w", name, err)
		}
		if roots, err = roots.With(name, text); err != nil {
			return roots, err
		}
	}
	return roots, nil
}

// readBounded returns the bytes of a person's own file; one that is longer than
// limit is an error.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path) // #nosec G304 -- the person's own file
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fault.Errorf(fault.Invalid, "%q is larger than %d bytes", path, limit)
	}
	return b, err
}
