package java

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode"

	"plimsoll/internal/fault"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
)

// What one file may cost.
const (
	maxDepth    = 8       // archives in archives
	maxArchives = 1 << 14 // in all
	maxBytes    = 1 << 30 // that are inflated in all
	maxListed   = 1 << 14 // entries of one archive that are read or descended into
	maxName     = 4096    // bytes of their names, as PATH_MAX
	maxNames    = 2 << 20 // bytes of the names of those of one archive
	maxErrors   = 20      // that are told one by one
)

// walker reads an archive and those in it.
type walker struct {
	cancelled  func() error
	hashes     Hashes
	inflate    io.ReadCloser
	spans      []span
	left       int64 // bytes of maxBytes
	archives   int
	components []inventory.Component
	errors     []error
	more       int // errors beyond maxErrors
}

func (w *walker) failed(where string, err error) {
	if len(w.errors) == maxErrors {
		w.more++
		return
	}
	if where != "" {
		err = fmt.Errorf("%q: %w", plain(where), err)
	}
	w.errors = append(w.errors, err)
}

func (w *walker) err() error {
	if w.more > 0 {
		return errors.Join(append(w.errors, fmt.Errorf("%d more", w.more))...)
	}
	return errors.Join(w.errors...)
}

// jar is an archive that is being looked at.
type jar struct {
	*archive
	r       io.ReaderAt
	size    int64
	outer   string // path of the file in the image
	inner   string // path in that file, "" for the file itself
	depth   int
	listing listing
	manifest
}

// listing is what matters of a directory.
type listing struct {
	manifests, records, poms, nested []entry
	packages                         packages // of its classes
}

// name returns the last element of the archive's path.
func (j *jar) name() string {
	if j.inner != "" {
		return path.Base(j.inner)
	}
	return path.Base(j.outer)
}

// at returns the path of something in the archive, in the file.
func (j *jar) at(name string) string {
	if j.inner == "" {
		return name
	}
	return j.inner + "!/" + name
}

// top reads the file itself. One that is neither named like an archive of Java's
// nor holds anything of Java's is none, and may be as broken as it likes.
func (w *walker) top(r scan.ReaderAt, outer string) {
	a, err := openArchive(r, r.Size())
	if err != nil {
		if !errors.Is(err, errNoArchive) || (named(outer) && begins(r, 0, localMagic)) {
			w.failed("", err)
		}
		return
	}
	j := &jar{archive: a, r: r, size: r.Size(), outer: outer}
	err = w.list(j)
	if !named(outer) && len(j.listing.manifests) == 0 && len(j.listing.nested) == 0 {
		return
	}
	w.read(j, err)
}

// list reads the directory of the archive.
func (w *walker) list(j *jar) error {
	l := &j.listing
	listed, bytes, left := 0, 0, 0
	err := j.each(&w.spans, func(name []byte, e *entry) {
		list := l.of(name)
		switch {
		case list == nil:
		case listed == maxListed || len(name) > maxName || bytes+len(name) > maxNames:
			left++
		default:
			listed, bytes = listed+1, bytes+len(name)
			*list = append(*list, *e)
			(*list)[len(*list)-1].name = string(name)
		}
	})
	if err == nil && left > 0 {
		err = fault.Errorf(fault.Invalid, "%d entries were not looked into: more than %d, or with names of more than %d bytes", left, maxListed, maxName)
	}
	return err
}

// of returns the list that the entry belongs to, nil if to none, and notes
// packages of classes.
func (l *listing) of(name []byte) *[]entry {
	switch {
	case bytes.HasSuffix(name, []byte(".class")):
		l.packages.add(name)
	case len(name) == len(manifestPath) && strings.EqualFold(string(name), manifestPath):
		return &l.manifests
	case isRecord(name, "/pom.properties"):
		return &l.records
	case isRecord(name, "/pom.xml"):
		return &l.poms
	case named(string(name[max(0, len(name)-8):])):
		return &l.nested
	}
	return nil
}

// isRecord reports whether name is META-INF/maven/GROUP/ARTIFACT/file, also of
// classes that are unpacked in the archive (BOOT-INF/classes/META-INF/…).
func isRecord(name []byte, file string) bool {
	return bytes.HasSuffix(name, []byte(file)) &&
		(bytes.HasPrefix(name, []byte("META-INF/maven/")) || bytes.Contains(name, []byte("/META-INF/maven/")))
}

// read identifies the archive and reads those in it. err is that of its listing:
// what was listed before it is still looked at.
func (w *walker) read(j *jar, err error) {
	if err != nil {
		w.failed(j.inner, err)
	}
	for i := range j.listing.manifests {
		b, err := w.bytes(j.archive, &j.listing.manifests[i], maxManifest)
		if err != nil {
			w.failed(j.at(j.listing.manifests[i].name), err)
		}
		if i == 0 {
			j.manifest = readManifest(b)
		}
	}
	w.twice(j, j.listing.manifests)
	w.twice(j, j.listing.records)
	w.twice(j, j.listing.nested)
	w.identify(j)
	for i := range j.listing.nested {
		w.descend(j, &j.listing.nested[i])
	}
}

// twice reports names that stand for two things: tools differ in which they
// take.
func (w *walker) twice(j *jar, list []entry) {
	first := make(map[string]*entry, len(list))
	for i := range list {
		e := &list[i]
		if was := first[e.name]; was != nil && (was.crc != e.crc || was.size != e.size) {
			w.failed(j.at(e.name), fault.Errorf(fault.Invalid, "there are two of that name"))
		}
		first[e.name] = e
	}
}

// descend reads an archive in an archive.
func (w *walker) descend(j *jar, e *entry) {
	in := &jar{outer: j.outer, inner: j.at(e.name), depth: j.depth + 1, size: e.size}
	if err := w.open(j, e, in); err != nil {
		w.failed(in.inner, err)
	}
}

func (w *walker) open(j *jar, e *entry, in *jar) error {
	if err := w.cancelled(); err != nil {
		return err
	}
	if in.depth > maxDepth {
		return fault.Errorf(fault.Invalid, "archives are nested deeper than %d", maxDepth)
	}
	if w.archives++; w.archives > maxArchives {
		return fault.Errorf(fault.Invalid, "more than %d archives are nested in it", maxArchives)
	}
	if e.size == 0 {
		return nil
	}
	content, s, err := w.nested(j.archive, e)
	defer s.close()
	if err != nil {
		return err
	}
	a, err := openArchive(content, e.size)
	if errors.Is(err, errNoArchive) && !begins(content, 0, localMagic) {
		return nil // only named like one
	}
	if err != nil {
		return err
	}
	in.archive, in.r = a, content
	w.read(in, w.list(in))
	return nil
}

// add records a component at a path in the file, "" for the file itself.
func (w *walker) add(c inventory.Component, outer, inner string, confidence float64) {
	if len(w.components) > scan.MaxComponents {
		return // the scanner says so
	}
	if inner != "" || confidence != 1 {
		where := inventory.Evidence{Confidence: confidence}
		if inner != "" {
			where.Path = outer + "!/" + plain(inner)
		}
		c.Evidence = []inventory.Evidence{where}
	}
	w.components = append(w.components, c)
}

// plain returns the path of something in archives as it can be shown and kept:
// names in archives may be anything, and eight of them of any length.
func plain(inner string) string {
	if len(inner) > maxName {
		inner = inner[:maxName/2] + "…" + inner[len(inner)-maxName/2:]
	}
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Cf) {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(inner, string(unicode.ReplacementChar)))
}
