package trust

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"

	"plimsoll/internal/fault"
)

// algorithms are the hashes that are known here, the preferred one first.
var algorithms = []struct {
	name string
	size int // bytes
	new  func() hash.Hash
}{
	{"sha256", sha256.Size, sha256.New},
	{"sha512", sha512.Size, sha512.New},
}

// check compares b with every hash that is known here; hashes by other
// algorithms say nothing, and nothing but those is refused. Nil hashes allow
// anything.
func (h hashes) check(b []byte) error {
	if h == nil {
		return nil
	}
	s := h.sums()
	_, _ = s.Write(b)
	return s.check()
}

// isHash reports whether s is how a hash of size bytes is written.
func isHash(s string, size int) bool {
	raw, err := hex.DecodeString(s)
	return err == nil && len(raw) == size && hex.EncodeToString(raw) == s
}

// sums computes the hashes that are to be compared.
type sums struct {
	want hashes
	got  map[string]hash.Hash
}

// sums begins to hash by every algorithm that h names and that is known here.
func (h hashes) sums() *sums {
	s := &sums{want: h, got: map[string]hash.Hash{}}
	for _, a := range algorithms {
		if h[a.name] != "" {
			s.got[a.name] = a.new()
		}
	}
	return s
}

// Write implements [io.Writer].
func (s *sums) Write(b []byte) (int, error) {
	for _, h := range s.got {
		_, _ = h.Write(b) // never fails
	}
	return len(b), nil
}

func (s *sums) check() error {
	if len(s.got) == 0 {
		return fault.Errorf(fault.Untrusted, "none of its hashes is of a kind that is known here")
	}
	for name, h := range s.got {
		if got := hex.EncodeToString(h.Sum(nil)); got != s.want[name] {
			return fault.Errorf(fault.Untrusted, "%s hash is %s, %s was promised", name, got, s.want[name])
		}
	}
	return nil
}

func hashOf(algorithm string, b []byte) (string, bool) {
	for _, a := range algorithms {
		if a.name == algorithm {
			h := a.new()
			_, _ = h.Write(b)
			return hex.EncodeToString(h.Sum(nil)), true
		}
	}
	return "", false
}

// describe returns what snapshot or timestamp say about the file b.
func describe(b []byte, version int64) metaFile {
	sum, _ := hashOf("sha256", b)
	return metaFile{Version: version, Length: int64(len(b)), Hashes: hashes{"sha256": sum}}
}
