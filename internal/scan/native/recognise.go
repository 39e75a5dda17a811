package native

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"plimsoll/internal/fault"
	"plimsoll/internal/scan"
)

// Bounds of the work that one file may cause. No file of those that distributions
// ship comes near them.
const (
	maxHits      = 1 << 13  // places of one anchor
	maxMatching  = 16 << 20 // bytes that regular expressions look at
	maxReaching  = 64 << 20 // bytes that are looked through for bare versions,
	minReaching  = 1 << 20  // and of a small file these and reachTimes its size
	reachTimes   = 4
	maxVersions  = 64  // different versions of one product
	maxBarePlace = 4   // places of an anchor near which a bare version is looked for
	maxMarks     = 256 // versions of distributions
)

// sighting is a version of a product that a pattern found.
type sighting struct {
	version, distro, revision string
	pattern                   int
	at                        int64 // of the first
	times                     int
	confidence                float64
	own                       bool
}

// file is the state of looking at one file.
type file struct {
	*Set
	content   scan.ReaderAt
	hits      []int32      // by literal
	sightings [][]sighting // by rule
	bare      map[anchored][]int64
	distros   []string // versions of distributions that stand in the file
	matching  int64
	reaching  int64
	limit     error // the first bound that was struck
}

// look reads the file once and gathers what the patterns find.
func (s *Set) look(ctx context.Context, content scan.ReaderAt) (*file, error) {
	f := &file{
		Set: s, content: content, bare: map[anchored][]int64{},
		hits: make([]int32, len(s.anchors)), sightings: make([][]sighting, len(s.rules)),
	}
	if err := s.searcher.search(ctx, io.NewSectionReader(content, 0, content.Size()), f.hit); err != nil {
		return nil, err
	}
	if err := f.findBare(ctx); err != nil {
		return nil, err
	}
	return f, nil
}

// exceed notes that a bound was struck.
func (f *file) exceed(format string, args ...any) {
	if f.limit == nil {
		f.limit = fault.Errorf(fault.Invalid, format, args...)
	}
}

// hit takes one place of a literal.
func (f *file) hit(w window, literal, at int) error {
	if f.hits[literal]++; f.hits[literal] > maxHits {
		if len(f.anchors[literal]) > 0 {
			f.exceed("the text %q stands in more than %d places", f.searcher.literals[literal], maxHits)
		}
		return nil
	}
	size := len(f.searcher.literals[literal])
	if f.marks[literal] {
		return f.mark(w, at, size)
	}
	for _, a := range f.anchors[literal] {
		p := &f.rules[a.rule].patterns[a.pattern]
		if p.Bare != "" {
			if ats := f.bare[a]; len(ats) < maxBarePlace {
				f.bare[a] = append(ats, w.base+int64(at))
			}
			continue
		}
		around, from, err := f.around(w, at, size, p.Before, p.After)
		if err != nil {
			return err
		}
		f.match(a, p, around, from, at-from, size, w.base)
	}
	return nil
}

// around returns the bytes from before at to after its end, and where they begin
// in the window, which is before it if they had to be read again.
func (f *file) around(w window, at, size, before, after int) (around []byte, from int, err error) {
	from, to := at-before, at+size+after
	if (from >= 0 || w.base == 0) && (to <= len(w.bytes) || w.base+int64(len(w.bytes)) >= f.content.Size()) {
		from = max(from, 0)
		return w.bytes[from:min(to, len(w.bytes))], from, nil
	}
	if w.base+int64(from) < 0 {
		from = -int(w.base)
	}
	around = make([]byte, to-from)
	n, err := f.content.ReadAt(around, w.base+int64(from))
	if err != nil && err != io.EOF { //nolint:errorlint // io.ReaderAt returns it as it is
		return nil, 0, fmt.Errorf("read: %w", err)
	}
	return around[:n], from, nil
}

// match looks for the pattern in the bytes around its anchor, which stands at in
// them.
func (f *file) match(a anchored, p *pattern, around []byte, from, at, size int, base int64) {
	for begin := 0; begin < at+size; {
		if f.matching += int64(len(around) - begin); f.matching > maxMatching {
			f.exceed("more than %d bytes look like versions of products", maxMatching)
			return
		}
		m := p.expression().FindSubmatchIndex(around[begin:])
		if m == nil || begin+m[0] >= at+size {
			return
		}
		if begin+m[1] > at {
			f.sight(a, p, around[begin:], m, base+int64(from+begin+m[0]))
			return
		}
		begin += m[0] + 1
	}
}

// sight records what a match captured.
func (f *file) sight(a anchored, p *pattern, b []byte, m []int, at int64) {
	e := p.expression()
	s := sighting{
		version: group(b, m, e.version), distro: group(b, m, e.distro), revision: group(b, m, e.revision),
		pattern: a.pattern, at: at, times: 1, confidence: p.Confidence, own: p.Own,
	}
	r := &f.rules[a.rule]
	if len(r.Table) > 0 && !p.Plain {
		if s.version = r.Table[s.version]; s.version == "" {
			return
		}
	}
	if s.version == "" {
		return
	}
	all := f.sightings[a.rule]
	for i := range all {
		o := &all[i]
		if o.version == s.version && o.distro == s.distro && o.revision == s.revision && o.pattern == s.pattern {
			o.times++
			return
		}
	}
	if len(all) == maxVersions {
		f.exceed("it shows more than %d versions of %s", maxVersions, r.Product.Product)
		return
	}
	f.sightings[a.rule] = append(all, s)
}

func group(b []byte, m []int, i int) string {
	if i < 0 || m[2*i] < 0 {
		return ""
	}
	return string(b[m[2*i]:m[2*i+1]])
}

// mark takes a version of a distribution's package, which has at one of the texts
// in distroMarks.
func (f *file) mark(w window, at, size int) error {
	around, from, err := f.around(w, at, size, 64, 64)
	if err != nil {
		return err
	}
	at -= from
	begin, end := at, at+size
	for begin > 0 && inVersion(around[begin-1]) {
		begin--
	}
	for end < len(around) && inVersion(around[end]) {
		end++
	}
	if bytes.HasSuffix(around[:begin], []byte("GCC: (Debian ")) || bytes.HasSuffix(around[:begin], []byte("GCC: (Ubuntu ")) {
		return nil // who built it, not what it is
	}
	if len(f.distros) < maxMarks {
		f.distros = append(f.distros, string(around[begin:end]))
	}
	return nil
}

// inVersion reports whether c may stand in a version of a Debian package
// (Debian policy, section 5.6.12).
func inVersion(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '.' || c == '+' || c == '-' || c == '~' || c == ':'
}
