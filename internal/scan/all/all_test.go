package all_test

import (
	"testing"

	"plimsoll/internal/image"
	"plimsoll/internal/scan/all"
)

// TestNamesAreUnique: evidence and cache keys tell extractors apart by name.
func TestNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, x := range all.Extractors(nil) {
		if x.Name() == "" || x.Version() < 1 || seen[x.Name()] {
			t.Errorf("extractor %T: name %q, version %d", x, x.Name(), x.Version())
		}
		seen[x.Name()] = true
	}
}

// TestNobodyWantsEverything: what no extractor reads costs nothing but its
// place in the stream. Secrets can be in any text, and in nothing else.
func TestNobodyWantsEverything(t *testing.T) {
	for _, x := range all.Extractors(nil) {
		if x.Name() != "secret" && x.Wants(image.Entry{Path: "usr/share/doc/x/README", Size: 100}, []byte("hello, world")) {
			t.Errorf("%s reads plain text", x.Name())
		}
		if x.Wants(image.Entry{Path: "usr/share/doc/x/picture", Size: 100}, []byte("\x89PNG\r\n\x1a\n\x00\x00")) {
			t.Errorf("%s reads a picture", x.Name())
		}
	}
}
