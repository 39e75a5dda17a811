// Package java recognises Java archives (jar, war, ear, Jenkins plugins, …) by
// content, and archives in them to a set depth, and the releases of JDKs.
//
// An archive is what Maven says it is (META-INF/maven/…/pom.properties); several
// such records in one archive are libraries that were merged into it. Without a
// record, a table by the archive's SHA-1 and one of what well-known archives go
// by, the manifest and the file's name tell, with less confidence.
//
// Archives are read as the JVM reads them: from the end record at their end, so
// that one behind a shell script is found, through their central directory. What
// no honest tool writes (entries over each other, sizes that are not true,
// bombs) is an error that names the inner path; the rest is still reported.
package java

import (
	"bytes"
	"context"
	"path"
	"strings"

	"github.com/klauspost/compress/flate"

	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
)

// Extractor is a [scan.Extractor] of Java archives.
type Extractor struct {
	Hashes Hashes // of archives that say nothing of themselves, beside those of Debian's; may be nil
}

var _ scan.Extractor = Extractor{}

// script is the least size of a script that may have an archive behind it:
// Spring Boot's launcher alone has nine kilobytes.
const script = 8 << 10

// Name implements [scan.Extractor].
func (Extractor) Name() string { return "java" }

// Version implements [scan.Extractor]. Extractors with different tables of
// hashes have different versions.
func (x Extractor) Version() int {
	if x.Hashes == nil {
		return 2
	}
	return 2 + int(x.Hashes.Edition())<<8
}

// Wants implements [scan.Extractor]: files named like Java archives, any other
// zip file, and scripts that are long enough to have one behind them.
func (Extractor) Wants(e image.Entry, head []byte) bool {
	if bytes.HasPrefix(head, []byte(localMagic)) || (bytes.HasPrefix(head, []byte("#!")) && e.Size > script) {
		return true
	}
	return named(e.Path)
}

// named reports whether a file is named like a Java archive.
func named(p string) bool {
	dot := strings.LastIndexByte(p, '.')
	if n := len(p) - dot; dot < 0 || n < 4 || n > 5 {
		return false
	}
	switch strings.ToLower(p[dot:]) {
	case ".jar", ".war", ".ear", ".jpi", ".hpi", ".par", ".sar", ".kar", ".nar":
		return true
	}
	return false
}

// Extract implements [scan.Extractor].
func (x Extractor) Extract(ctx context.Context, f scan.File) (inventory.Found, error) {
	content, err := f.Spill()
	if err != nil {
		return inventory.Found{}, err
	}
	w := &walker{cancelled: ctx.Err, hashes: x.Hashes, inflate: flate.NewReader(strings.NewReader("")), left: maxBytes}
	w.top(content, path.Clean(f.Path))
	return inventory.Found{Components: w.components}, w.err()
}
