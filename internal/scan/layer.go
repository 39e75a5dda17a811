package scan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode/utf8"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
)

// What one layer and one file may cost, beside the caps of the walk.
const (
	maxPaths      = 64 << 20 // bytes of shortened paths
	maxFacts      = 1 << 20  // files and links that something is known about
	maxComponents = 1 << 17  // in one file
	maxText       = 8 << 10  // bytes of a component's name, version, …
	maxProblems   = 1000     // unreadable files that are listed one by one
	headSize      = 512
)

// layer collects the facts of one layer while it is walked.
type layer struct {
	extractors []Extractor
	spill      *spill
	facts      *inventory.Facts
	paths      inventory.PathsWriter
	known      map[string]bool // paths in facts.Files
	head       [headSize]byte
	reader     headReader
	wanted     []Extractor
	problems   int
}

// walk reads layer i. The facts are never nil; with an error they are what was
// read before it.
func (s *Scanner) walk(ctx context.Context, i int, w walker) (*inventory.Facts, error) {
	l := &layer{extractors: s.Extractors, spill: newSpill(), facts: &inventory.Facts{}, known: map[string]bool{}}
	defer l.spill.Close()
	walked, err := w.Walk(ctx, i, s.Caps, func(e image.Entry, r io.Reader) error { return l.entry(ctx, e, r) })
	l.facts.Digest, l.facts.DiffID, l.facts.Size = walked.Blob, walked.DiffID, walked.Size
	l.facts.Paths = l.paths.Paths()
	if l.problems > maxProblems {
		l.facts.Unreadable = append(l.facts.Unreadable, inventory.Unreadable{
			Reason: fmt.Sprintf("%d more files could not be read", l.problems-maxProblems),
		})
	}
	return l.facts, err
}

// entry records one entry of the layer.
func (l *layer) entry(ctx context.Context, e image.Entry, r io.Reader) error {
	switch e.Type {
	case image.Whiteout:
		l.facts.Removed = append(l.facts.Removed, e.Path)
		return l.over(len(l.facts.Removed))
	case image.Opaque:
		l.facts.Opaque = append(l.facts.Opaque, e.Path)
		return l.over(len(l.facts.Opaque))
	case image.Regular, image.Directory, image.Symlink, image.Hardlink, image.Char, image.Block, image.FIFO:
	}
	l.paths.Add(e.Path, e.Type == image.Directory)
	if l.paths.Len() > maxPaths {
		return fault.Errorf(fault.Invalid, "the paths of the layer take more than %d bytes", maxPaths)
	}
	var file inventory.File
	switch {
	case e.Type == image.Regular:
		found, err := l.regular(ctx, e, r)
		if err != nil {
			return err
		}
		file.Found = found
	case e.Type == image.Hardlink:
		file.Hardlink = e.Link
	case e.Type == image.Symlink && (path.Dir(e.Path) == "." || path.Base(e.Path) == "os-release"):
		file.Symlink = e.Link
	}
	return l.keep(e.Path, file)
}

// keep records what is known about path, and also that nothing is known about
// what took the place of an earlier entry: the last one counts, but hard links
// made before it do not follow it.
func (l *layer) keep(path string, f inventory.File) error {
	f.Path = path
	if len(f.Found) == 0 && f.Hardlink == "" && f.Symlink == "" && !l.known[path] {
		return nil
	}
	l.known[path] = true
	l.facts.Files = append(l.facts.Files, f)
	return l.over(len(l.facts.Files))
}

func (l *layer) over(n int) error {
	if n > maxFacts {
		return fault.Errorf(fault.Invalid, "the layer has more than %d links, whiteouts and recognised files", maxFacts)
	}
	return nil
}

// regular offers a file to the extractors. Only an error of the layer itself is
// returned; one of an extractor is recorded.
func (l *layer) regular(ctx context.Context, e image.Entry, r io.Reader) ([]inventory.Found, error) {
	n, err := io.ReadFull(r, l.head[:min(headSize, max(e.Size, 0))])
	if err != nil {
		return nil, err
	}
	l.wanted = l.wanted[:0]
	for _, x := range l.extractors {
		if x.Wants(e, l.head[:n]) {
			l.wanted = append(l.wanted, x)
		}
	}
	if len(l.wanted) == 0 {
		return nil, nil
	}
	l.reader = headReader{head: l.head[:n], rest: r}
	if len(l.wanted) == 1 {
		f := File{Entry: e, Reader: &l.reader}
		f.Spill = func() (ReaderAt, error) { return l.spill.Fill(&l.reader) }
		return l.ask(ctx, l.wanted[0], f)
	}
	content, err := l.spill.Fill(&l.reader)
	if err != nil {
		return nil, l.failed(e.Path, err)
	}
	var all []inventory.Found
	for _, x := range l.wanted {
		again := io.NewSectionReader(content, 0, content.Size())
		found, err := l.ask(ctx, x, File{Entry: e, Reader: again, Spill: func() (ReaderAt, error) { return again, nil }})
		all = append(all, found...)
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// ask lets one extractor read a file.
func (l *layer) ask(ctx context.Context, x Extractor, f File) ([]inventory.Found, error) {
	found, err := extract(ctx, x, f)
	if err == nil {
		err = check(&found)
	}
	if err != nil {
		if err := l.failed(f.Path, fmt.Errorf("%s: %w", x.Name(), err)); err != nil {
			return nil, err
		}
	}
	if found.Empty() {
		return nil, nil
	}
	found.Method = x.Name()
	return []inventory.Found{found}, nil
}

// failed records a file that could not be read. An error of the stream below is
// returned: the layer ends there.
func (l *layer) failed(path string, err error) error {
	if l.reader.err != nil && !errors.Is(l.reader.err, io.EOF) {
		return l.reader.err
	}
	if l.problems++; l.problems <= maxProblems {
		l.facts.Unreadable = append(l.facts.Unreadable, inventory.Unreadable{Path: path, Reason: err.Error()})
	}
	return nil
}

// extract calls the extractor. A panic is an error: a file that was made to
// crash a parser must not end the scan.
func extract(ctx context.Context, x Extractor, f File) (found inventory.Found, err error) {
	defer func() {
		if p := recover(); p != nil {
			found, err = inventory.Found{}, fmt.Errorf("the parser gave up: %v", p)
		}
	}()
	return x.Extract(ctx, f)
}

// check refuses facts that no honest file holds, and cuts them.
func check(f *inventory.Found) error {
	if n := len(f.Components); n > maxComponents {
		f.Components = f.Components[:maxComponents]
		return fmt.Errorf("%d components are more than %d", n, maxComponents)
	}
	if n := len(f.Owned); n > maxComponents {
		f.Owned = nil
		return fmt.Errorf("%d owned files are more than %d", n, maxComponents)
	}
	kept := f.Components[:0]
	var bad error
	for i := range f.Components {
		if err := checkText(&f.Components[i]); err != nil {
			bad = err
			continue
		}
		kept = append(kept, f.Components[i])
	}
	f.Components = kept
	return bad
}

func checkText(c *inventory.Component) error {
	if c.Name == "" {
		return errors.New("a component has no name")
	}
	for _, s := range []string{c.Namespace, c.Name, c.Version, c.Arch, c.SourceName, c.SourceVersion, c.Module} {
		if len(s) > maxText || !utf8.ValidString(s) || strings.ContainsFunc(s, control) {
			return fmt.Errorf("component %.80q: a field is too long or not plain text", c.Name)
		}
	}
	for i, s := range c.Licences {
		c.Licences[i] = strings.ToValidUTF8(s[:min(len(s), maxText)], "\uFFFD")
	}
	return nil
}

func control(r rune) bool { return r < ' ' || r == 0x7f }

// headReader reads a file whose head was taken already, and remembers the
// stream's own error.
type headReader struct {
	head []byte
	rest io.Reader
	err  error
}

func (h *headReader) Read(p []byte) (int, error) {
	if len(h.head) > 0 {
		n := copy(p, h.head)
		h.head = h.head[n:]
		return n, nil
	}
	n, err := h.rest.Read(p)
	if err != nil {
		h.err = err
	}
	return n, err
}
