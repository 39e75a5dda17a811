package envelope

import (
	"slices"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
)

// The formats that are written besides TUF, by the names that people use.
const (
	Sigstore = "sigstore" // a Sigstore bundle, which cosign 3 reads
	Notation = "notation" // a Notary Project signature, which notation reads
)

// Formats are all formats, in the order in which they are written.
var Formats = []string{Sigstore, Notation}

// ParseFormats reads a list of formats with commas between them; "none" is the
// empty list. Anything else is a Usage error.
func ParseFormats(s string) ([]string, error) {
	if s == "none" {
		return nil, nil
	}
	var all []string
	for name := range strings.SplitSeq(s, ",") {
		if !slices.Contains(Formats, name) || slices.Contains(all, name) {
			return nil, fault.Errorf(fault.Usage, "formats %q: name each of %s once, or none", s, strings.Join(Formats, ", "))
		}
		all = append(all, name)
	}
	return all, nil
}

// Signatures returns how many signatures a key is asked for at most when the
// image m is signed in the given formats: one for each format and each manifest,
// the index included. What is signed already is not signed again.
func Signatures(formats []string, m *trust.Image) int { return len(formats) * len(manifests(m)) }

// manifests returns the digests of the index, if there is one, and of every
// platform's manifest.
func manifests(m *trust.Image) []ref.Digest {
	all := []ref.Digest{m.Digest}
	for _, p := range m.Platforms {
		if !slices.Contains(all, p.Manifest) {
			all = append(all, p.Manifest)
		}
	}
	return all
}
