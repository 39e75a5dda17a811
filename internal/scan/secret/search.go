package secret

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"strings"

	"plimsoll/internal/inventory"
)

// search is one file that is searched, and what was found in it. Rules look at
// each byte a few times at most, whatever the text.
type search struct {
	text   []byte
	path   string
	sample bool
	found  []inventory.Secret
	minor  int // of them, and of those that were left out
}

// look lets the anchor's rule judge what stands at the place.
func (s *search) look(a *anchor, at int) {
	if len(s.found) < maxSecrets {
		a.rule(s, at)
	}
}

// add notes a secret that begins at the place, unless it is a placeholder or
// known already.
func (s *search) add(kind inventory.SecretKind, at int, secret []byte, minor bool) {
	if !placeholder(secret) {
		sum := sha256.Sum256(secret)
		s.note(kind, at, fmt.Sprintf("%s… (%d)", secret[:min(4, len(secret))], len(secret)), "sha256:"+hex.EncodeToString(sum[:]), minor)
	}
}

// password notes one that a person may have chosen.
func (s *search) password(kind inventory.SecretKind, at int, secret []byte) {
	if len(secret) > 0 && !placeholder(secret) && !bytes.HasPrefix(secret, []byte("$")) && !bytes.HasPrefix(secret, []byte("<")) {
		s.note(kind, at, fmt.Sprintf("… (%d)", len(secret)), "", false)
	}
}

func (s *search) note(kind inventory.SecretKind, at int, redacted, sum string, minor bool) {
	for i := range s.found {
		if s.found[i].Kind == kind && s.found[i].Sum == sum && sum != "" {
			return
		}
	}
	if minor = minor || s.sample; minor {
		if s.minor++; s.minor > maxMinor {
			return
		}
	}
	line := 1 + bytes.Count(s.text[:at], []byte("\n"))
	s.found = append(s.found, inventory.Secret{Kind: kind, Path: s.path, Line: line, Redacted: redacted, Sum: sum, Minor: minor})
}

// charset is a set of bytes that tokens are made of.
type charset [256]bool

func setOf(s string) (c charset) {
	for i := range len(s) {
		c[s[i]] = true
	}
	return c
}

const (
	digitChars = "0123456789"
	upperChars = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	alnumChars = digitChars + upperChars + "abcdefghijklmnopqrstuvwxyz"
)

var (
	base32Set = setOf(upperChars + "234567")
	base62Set = setOf(alnumChars)
	base64Set = setOf(alnumChars + "+/")
	urlSet    = setOf(alnumChars + "_-")
	tokenSet  = setOf(alnumChars + "_-.+/=")
)

// run returns the bytes from the place on that are in the set.
func (s *search) run(at int, set *charset) []byte { return leading(s.text[at:], set) }

// leading returns the bytes that b begins with and that are in the set.
func leading(b []byte, set *charset) []byte {
	n := 0
	for n < len(b) && set[b[n]] {
		n++
	}
	return b[:n]
}

// starts reports whether no byte of the set stands before the place: what is
// there begins there. Rules ask this first, or look at a few bytes only: text
// that is nothing but anchors would be read to its end from each of them.
func (s *search) starts(at int, set *charset) bool { return at == 0 || !set[s.text[at-1]] }

// after returns the first place from at on that holds none of the given bytes.
func (s *search) after(at int, skip string) int {
	for at < len(s.text) && strings.IndexByte(skip, s.text[at]) >= 0 {
		at++
	}
	return at
}

// token notes what follows a prefix of that length, if it is of the set, of a
// length between least and most, and random.
func (s *search) token(kind inventory.SecretKind, at, prefix, least, most int, set *charset, minor bool) {
	if !s.starts(at, &urlSet) {
		return
	}
	if rest := s.run(at+prefix, set); len(rest) >= least && len(rest) <= most && random(rest) {
		s.add(kind, at, s.text[at:at+prefix+len(rest)], minor)
	}
}

// random reports whether b has about as many different characters as a random
// text of its length: more than three bits in each, as counted by Shannon.
func random(b []byte) bool { return entropy(b) > 3 }

func entropy(b []byte) float64 {
	var count [256]int
	for _, c := range b {
		count[c]++
	}
	sum := 0.0
	for _, n := range count {
		if n > 0 {
			p := float64(n) / float64(len(b))
			sum -= p * math.Log2(p)
		}
	}
	return sum
}

// placeholder reports whether b holds what stands in manuals in the place of a
// secret.
func placeholder(b []byte) bool {
	low := bytes.ToLower(b)
	for _, word := range []string{"example", "xxxxx", "00000000", "12345678", "abcdefgh", "placeholder", "changeme", "redacted", "your-", "your_", "*****", "....."} {
		if bytes.Contains(low, []byte(word)) {
			return true
		}
	}
	return false
}
