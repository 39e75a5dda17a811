package secret

import (
	"strings"
	"testing"

	"plimsoll/internal/scan/scantest"
)

// TestTextOfNothingButAnchors: a rule that reads on from every anchor to the end
// of the file would take minutes for each of these.
func TestTextOfNothingButAnchors(t *testing.T) {
	words := []string{"-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\nAAAA-----END ", "Q~", "aaa8Q~", "=AKIA", "client-key-data:", "_authToken:", "eyJhbGci.", "=eyJh.A.A", "AccountKey=a"}
	for _, a := range anchors {
		words = append(words, a.text)
	}
	for _, word := range words {
		for _, between := range []string{"", " ", "=", "/"} {
			content := []byte(strings.Repeat(word+between, maxSize/(len(word)+len(between))))
			found, err := Extractor{}.Extract(t.Context(), scantest.File("a", content))
			if err != nil || len(found.Secrets) > maxSecrets {
				t.Errorf("%q: %d secrets, %v", word+between, len(found.Secrets), err)
			}
		}
	}
}
