// Package secret finds secrets that were left in an image: private keys, and the
// tokens and passwords of clouds, registries and forges.
//
// It looks for short literal texts that every secret of a kind has, in files of
// text up to a megabyte, and then at what stands around them: a key must decode,
// a token must have the form, and the checksum where there is one, that its
// issuer gives it. What looks like a placeholder is none. So few findings are
// false, and a secret without a form of its own, such as a password in a
// configuration, is not found.
//
// A finding never holds the secret, only where it is and how it begins.
package secret

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path"
	"strings"
	"sync"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
)

// Extractor is a [scan.Extractor] of secrets.
type Extractor struct{}

var _ scan.Extractor = Extractor{}

const (
	minSize    = 20      // bytes of the smallest file that is looked at
	maxSize    = 1 << 20 // bytes of the largest
	maxSecrets = 100     // of one file
	maxMinor   = 50      // of them, so that many tokens of no use hide no key
)

// Name implements [scan.Extractor].
func (Extractor) Name() string { return "secret" }

// Version implements [scan.Extractor].
func (Extractor) Version() int { return 2 }

// Wants implements [scan.Extractor]: text of a size that configurations have.
func (Extractor) Wants(e image.Entry, head []byte) bool {
	return e.Size >= minSize && e.Size <= maxSize && len(head) > 0 && text(head)
}

// text reports whether head begins a file of text: no zero byte, and none of the
// control characters that texts do not have.
func text(head []byte) bool {
	if bytes.IndexByte(head, 0) >= 0 {
		return false
	}
	for _, c := range head[:min(len(head), 64)] {
		if c < '\t' || c > '\r' && c < ' ' && c != 0x1b {
			return false
		}
	}
	return true
}

// buffers hold a file each.
var buffers = sync.Pool{New: func() any { return new([maxSize]byte) }}

// Extract implements [scan.Extractor].
func (Extractor) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	buf, _ := buffers.Get().(*[maxSize]byte)
	defer buffers.Put(buf)
	n, err := io.ReadFull(f, buf[:])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return inventory.Found{}, err
	}
	s := &search{text: buf[:n], path: f.Path, sample: sample(f.Path)}
	s.byName(path.Base(f.Path))
	s.azureClients()
	find(s.text, s.look)
	found := inventory.Found{Secrets: s.found}
	if len(s.found) >= maxSecrets {
		return found, fault.Errorf(fault.Invalid, "it has %d secrets, and was not searched further", maxSecrets)
	}
	return found, nil
}

// samples are folders whose keys and tokens were published, or made for a test.
var samples = map[string]bool{
	"test": true, "tests": true, "testdata": true, "testing": true, "__tests__": true, "fixtures": true, "spec": true,
	"example": true, "examples": true, "sample": true, "samples": true, "demo": true, "demos": true, "doc": true, "docs": true, "man": true,
	"node_modules": true, "site-packages": true, "dist-packages": true, "vendor": true, "vendored": true, "third_party": true,
}

// sample reports whether what lies at p was likely published: it came with a
// package, or is there for tests. What ssl-cert makes for a trial ("snakeoil")
// counts, too.
func sample(p string) bool {
	for element := range strings.SplitSeq(path.Dir(p), "/") {
		if samples[element] {
			return true
		}
	}
	name := strings.ToLower(path.Base(p))
	return strings.Contains(name, "snakeoil") || strings.Contains(name, "example") || strings.Contains(name, "sample")
}
