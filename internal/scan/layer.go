package scan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
)

// MaxComponents bounds the components, and the owned files, of one file. An
// extractor stops when it has found more: the scanner refuses the file then.
const MaxComponents = 1 << 17

// What one layer and one file may cost, beside the caps of the walk.
const (
	maxPaths    = 64 << 20 // bytes of shortened paths
	maxFacts    = 1 << 20  // files and links that something is known about
	maxWeight   = 64 << 20 // bytes of what is known about them, see [inventory.Facts.Weight]
	maxAgain    = 1 << 30  // bytes that are read once more under other names
	maxText     = 8 << 10  // bytes of a component's name, version, …
	maxReason   = 2 << 10  // bytes of what is said of one of them
	maxProblems = 1000     // unreadable files that are listed one by one
	headSize    = 512
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
	weight     int64
	missed     map[string][]string // hard link's target → names under which it is wanted, too
	again      map[string][]string // missed of the first walk, in the second
	sums       *sums
	hints      hints
	allSums    bool             // whatever the hints say
	buildID    string           // of the file that is being read
	programs   map[string]bool  // paths of files that can run, or may
	listed     int              // files that can run
	unlisted   int              // of them that were too many
	claims     bool             // packages own files
	aliases    map[string]alias // by name, what the second walk found
	left       int64            // bytes of maxAgain
}

// walk reads layer i. The facts are never nil; with an error they are what was
// read before it. A layer in which hard links give files the names that they are
// wanted under only afterwards is read twice.
func (s *Scanner) walk(ctx context.Context, i int, w walker) (*inventory.Facts, error) {
	l := s.newLayer()
	defer func() { l.spill.Close() }()
	err := l.walk(ctx, i, w, s.Caps)
	if err == nil && len(l.missed) > 0 {
		l.spill.Close()
		again := l.missed
		l = s.newLayer()
		l.again = again
		err = l.walk(ctx, i, w, s.Caps)
	}
	return l.facts, err
}

func (s *Scanner) newLayer() *layer {
	return &layer{
		extractors: s.Extractors, spill: newSpill(), facts: &inventory.Facts{}, known: map[string]bool{},
		missed: map[string][]string{}, aliases: map[string]alias{}, left: maxAgain, programs: map[string]bool{}, sums: newSums(), allSums: s.Bad != nil,
	}
}

func (l *layer) walk(ctx context.Context, i int, w walker, caps image.Caps) error {
	caps.Refused = l.refused
	walked, err := w.Walk(ctx, i, caps, func(e image.Entry, r io.Reader) error { return l.entry(ctx, e, r) })
	l.facts.Digest, l.facts.DiffID, l.facts.Size = walked.Blob, walked.DiffID, walked.Size
	l.facts.Paths = l.paths.Paths()
	l.prune()
	if l.unlisted > 0 {
		l.facts.Unreadable = append(l.facts.Unreadable, inventory.Unreadable{
			Reason: fmt.Sprintf("%d files that can run are not accounted for: there are more than %d", l.unlisted, maxPrograms),
		})
	}
	if l.problems > maxProblems {
		l.facts.Unreadable = append(l.facts.Unreadable, inventory.Unreadable{
			Reason: fmt.Sprintf("%d more files could not be read", l.problems-maxProblems),
		})
	}
	return err
}

// entry records one entry of the layer.
func (l *layer) entry(ctx context.Context, e image.Entry, r io.Reader) error {
	switch e.Type {
	case image.Whiteout:
		l.facts.Removed = append(l.facts.Removed, e.Path)
		return l.weigh(int64(len(e.Path)+16), len(l.facts.Removed))
	case image.Opaque:
		l.facts.Opaque = append(l.facts.Opaque, e.Path)
		return l.weigh(int64(len(e.Path)+16), len(l.facts.Opaque))
	case image.Regular, image.Directory, image.Symlink, image.Hardlink, image.Char, image.Block, image.FIFO:
	}
	l.paths.Add(e.Path, e.Type == image.Directory)
	if !l.allSums {
		l.hints.see(e.Path)
	}
	if l.paths.Len() > maxPaths {
		return fault.Errorf(fault.Invalid, "the paths of the layer take more than %d bytes", maxPaths)
	}
	var file inventory.File
	switch {
	case e.Type == image.Regular:
		var err error
		if file, err = l.regular(ctx, e, r); err != nil {
			return err
		}
	case e.Type == image.Hardlink:
		l.programs[e.Path] = true // if what it is a name of does
		file = l.hardlink(e)
	case e.Type == image.Symlink && (path.Dir(e.Path) == "." || path.Dir(e.Path) == "usr" || path.Base(e.Path) == "os-release" || inventory.LeadsToDatabase(e.Path)):
		file.Symlink = e.Link
	}
	return l.keep(e.Path, file)
}

// keep records what is known about path, and also that nothing is known about
// what took the place of an earlier entry: the last one counts, but hard links
// made before it do not follow it.
func (l *layer) keep(path string, f inventory.File) error {
	f.Path = path
	if len(f.Found) == 0 && f.Program == nil && f.Hardlink == "" && f.Symlink == "" && !l.known[path] {
		return nil
	}
	l.known[path] = true
	l.facts.Files = append(l.facts.Files, f)
	return l.weigh(f.Weight(), len(l.facts.Files))
}

// weigh counts bytes of facts, of which there are n of that kind now.
func (l *layer) weigh(bytes int64, n int) error {
	if l.weight += bytes; l.weight > maxWeight {
		return fault.Errorf(fault.Invalid, "what is known about the layer takes more than %d bytes", maxWeight)
	}
	if n > maxFacts {
		return fault.Errorf(fault.Invalid, "the layer has more than %d links, whiteouts and recognised files", maxFacts)
	}
	return nil
}

// regular looks at a file: which extractors read it, and whether it can run.
// Only an error of the layer itself is returned; one of an extractor is recorded.
func (l *layer) regular(ctx context.Context, e image.Entry, r io.Reader) (inventory.File, error) {
	n, err := io.ReadFull(r, l.head[:min(headSize, max(e.Size, 0))])
	if err != nil {
		return inventory.File{}, err
	}
	l.reader = headReader{head: l.head[:n], rest: r}
	form := formOf(e, l.head[:n])
	if form == "" {
		found, err := l.offer(ctx, e, l.head[:n])
		return inventory.File{Found: found}, err
	}
	l.sums.reset(l.hints)
	l.buildID = ""
	l.reader.sums = l.sums
	found, err := l.offer(ctx, e, l.head[:n])
	if err != nil {
		return inventory.File{Found: found}, err
	}
	if err := l.reader.drain(); err != nil {
		return inventory.File{Found: found}, err
	}
	if l.listed++; l.listed > maxPrograms {
		l.unlisted++
		return inventory.File{Found: found}, nil
	}
	l.programs[e.Path] = true
	return inventory.File{Found: found, Program: &inventory.Program{Form: form, Size: e.Size, BuildID: l.buildID, Sums: l.sums.sums()}}, nil
}

// offer lets those extractors read a file that want it.
func (l *layer) offer(ctx context.Context, e image.Entry, head []byte) ([]inventory.Found, error) {
	l.wanted = l.wanted[:0]
	for _, x := range l.extractors {
		if x.Wants(e, head) {
			l.wanted = append(l.wanted, x)
		}
	}
	names := l.again[e.Path]
	if len(l.wanted)+len(names) == 0 {
		return nil, nil
	}
	if len(l.wanted) == 1 && len(names) == 0 {
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
	return all, l.readAgain(ctx, e, names, content)
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
	if found.BuildID != "" {
		l.buildID = found.BuildID
	}
	if found.Empty() {
		return nil, nil
	}
	l.claims = l.claims || len(found.Owned) > 0
	found.Method = x.Name()
	return []inventory.Found{found}, nil
}

// failed records a file that could not be read. An error of the stream below is
// returned: the layer ends there.
func (l *layer) failed(path string, err error) error {
	if l.reader.err != nil && !errors.Is(l.reader.err, io.EOF) {
		return l.reader.err
	}
	l.unreadable(path, err)
	return nil
}

// refused records an entry that no engine should unpack, and that says nothing
// else.
func (l *layer) refused(name string, err error) { l.unreadable(name[:min(len(name), maxText)], err) }

func (l *layer) unreadable(path string, err error) {
	if l.problems++; l.problems <= maxProblems {
		reason := err.Error()
		l.facts.Unreadable = append(l.facts.Unreadable, inventory.Unreadable{Path: path, Reason: strings.ToValidUTF8(reason[:min(len(reason), maxReason)], "\uFFFD")})
	}
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
	if n := len(f.Components); n > MaxComponents {
		f.Components = f.Components[:MaxComponents]
		return fmt.Errorf("%d components are more than %d", n, MaxComponents)
	}
	if n := len(f.Owned); n > MaxComponents {
		f.Owned = nil
		return fmt.Errorf("%d owned files are more than %d", n, MaxComponents)
	}
	var bad error
	f.Owned = slices.DeleteFunc(f.Owned, func(o inventory.Owned) bool { return len(o.Path) > maxText })
	kept := f.Components[:0]
	for i := range f.Components {
		if err := checkText(&f.Components[i]); err != nil {
			bad = err
			continue
		}
		kept = append(kept, f.Components[i])
	}
	f.Components = kept
	for i := range f.Claimed {
		if err := checkText(&f.Claimed[i].Component); err != nil {
			bad, f.Claimed[i] = err, inventory.Claim{} // that there is a claim tells what the others are
		}
	}
	for i := range f.Terms {
		clean(f.Terms[i].Licences)
	}
	return bad
}

func checkText(c *inventory.Component) error {
	if c.Name == "" {
		return errors.New("a component has no name")
	}
	for _, s := range []string{c.Namespace, c.Name, c.Version, c.Arch, c.SourceName, c.SourceVersion, c.Module, c.CPE} {
		if len(s) > maxText || !utf8.ValidString(s) || strings.ContainsFunc(s, control) {
			return fmt.Errorf("component %.80q: a field is too long or not plain text", c.Name)
		}
	}
	c.Vendor = Plain(c.Vendor, maxText)
	clean(c.Licences)
	return nil
}

// clean makes plain text of what people wrote.
func clean(texts []string) {
	for i, s := range texts {
		texts[i] = Plain(s, maxText)
	}
}

// control reports whether r commands a terminal, reorders a line or is not seen:
// Unicode's control and format characters (categories Cc and Cf).
func control(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf) }

func visible(r rune) rune {
	if control(r) {
		return '\uFFFD'
	}
	return r
}

// headReader reads a file whose head was taken already, adds what it reads up in
// sums, if there are some, and remembers the stream's own error.
type headReader struct {
	head []byte
	rest io.Reader
	sums *sums
	err  error
}

func (h *headReader) Read(p []byte) (n int, err error) {
	if len(h.head) > 0 {
		n = copy(p, h.head)
		h.head = h.head[n:]
	} else if n, err = h.rest.Read(p); err != nil {
		h.err = err
	}
	if h.sums != nil {
		h.sums.write(p[:n])
	}
	return n, err
}

// drain reads what nobody has read, so that the sums are of the whole.
func (h *headReader) drain() error {
	buf, _ := windows.Get().(*[windowSize]byte)
	defer windows.Put(buf)
	for h.err == nil {
		if _, err := h.Read(buf[:]); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	if !errors.Is(h.err, io.EOF) {
		return h.err
	}
	return nil
}
