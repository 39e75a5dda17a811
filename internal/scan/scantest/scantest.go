// Package scantest helps to test extractors.
package scantest

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
)

// File returns a regular file as the scanner hands it to an extractor.
func File(path string, content []byte) scan.File {
	r := bytes.NewReader(content)
	return scan.File{
		Entry:  image.Entry{Path: path, Type: image.Regular, Size: int64(len(content))},
		Reader: r,
		Spill:  func() (scan.ReaderAt, error) { return r, nil },
	}
}

// Wants reports whether x reads the file, asked as the scanner asks.
func Wants(x scan.Extractor, path string, content []byte) bool {
	e := image.Entry{Path: path, Type: image.Regular, Size: int64(len(content))}
	return x.Wants(e, content[:min(len(content), 512)])
}

// Fuzz feeds x with content that it might meet under path and checks that it
// neither panics nor finds more than it was given.
func Fuzz(f *testing.F, x scan.Extractor, path string, seeds ...string) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		found, err := x.Extract(t.Context(), File(path, content))
		if n := len(found.Components) + len(found.Owned); n > len(content)+2 {
			t.Errorf("%d things found in %d bytes", n, len(content))
		}
		for i := range found.Components {
			if c := &found.Components[i]; err == nil && c.Name == "" {
				t.Errorf("a component without a name: %+v", c)
			}
		}
	})
}

// Summary returns components in one line each: "name version", and "< source
// version" and "(arch)" if they have them.
func Summary(components []inventory.Component) (out []string) {
	for _, c := range components {
		name := c.Name
		if c.Namespace != "" {
			name = c.Namespace + "/" + name
		}
		parts := []string{name, c.Version}
		if c.SourceName != "" {
			parts = append(parts, "<", c.SourceName, c.SourceVersion)
		}
		if c.Arch != "" {
			parts = append(parts, "("+c.Arch+")")
		}
		line := strings.TrimRight(strings.Join(parts, " "), " ")
		if utf8.ValidString(line) {
			out = append(out, line)
		}
	}
	return out
}
