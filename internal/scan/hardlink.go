package scan

import (
	"context"
	"io"

	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
)

// alias is what was found in a file under the name that a hard link gives it.
type alias struct {
	target string
	found  []inventory.Found
}

// hardlink returns what is known about another name of a file. Extractors that
// go by names may want it under this one only: then the layer is read again.
func (l *layer) hardlink(e image.Entry) inventory.File {
	f := inventory.File{Path: e.Path, Hardlink: e.Link}
	more := l.onlyAs(e.Path, e.Link)
	if len(more) == 0 {
		return f
	}
	if a, ok := l.aliases[e.Path]; ok && a.target == e.Link {
		f.Found = a.found
		return f
	}
	for _, x := range more {
		f.Wanted = append(f.Wanted, x.Name())
	}
	l.missed[e.Link] = append(l.missed[e.Link], e.Path)
	return f
}

// onlyAs returns the extractors that want a file because of its name, and would
// not under the other name.
func (l *layer) onlyAs(name, other string) (more []Extractor) {
	for _, x := range l.extractors {
		if byName(x, name) && !byName(x, other) {
			more = append(more, x)
		}
	}
	return more
}

func byName(x Extractor, name string) bool {
	return x.Wants(image.Entry{Path: name, Type: image.Regular, Size: 1}, nil)
}

// readAgain reads a file under the names that hard links will give it.
func (l *layer) readAgain(ctx context.Context, e image.Entry, names []string, content ReaderAt) error {
	for _, name := range names {
		if l.left -= e.Size; l.left < 0 {
			return nil // stays wanted, which is reported
		}
		a := alias{target: e.Path}
		as := e
		as.Path = name
		for _, x := range l.onlyAs(name, e.Path) {
			again := io.NewSectionReader(content, 0, content.Size())
			found, err := l.ask(ctx, x, File{Entry: as, Reader: again, Spill: func() (ReaderAt, error) { return again, nil }})
			if err != nil {
				return err
			}
			a.found = append(a.found, found...)
		}
		l.aliases[name] = a
	}
	return nil
}
