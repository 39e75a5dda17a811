package python

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"io"
	"path"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/metadata"
)

// Records is a [scan.Extractor] of the lists of files that installers leave:
// RECORD in a .dist-info folder, and installed-files.txt in an .egg-info folder.
// It says which package brought a file that may be run, and with which content.
type Records struct{}

var _ scan.Extractor = Records{}

const maxRecord = 32 << 20 // bytes of a list

// Name implements [scan.Extractor].
func (Records) Name() string { return "python-record" }

// Version implements [scan.Extractor].
func (Records) Version() int { return 1 }

// Wants implements [scan.Extractor].
func (Records) Wants(e image.Entry, _ []byte) bool {
	return strings.HasSuffix(e.Path, ".dist-info/RECORD") || strings.HasSuffix(e.Path, ".egg-info/installed-files.txt")
}

// Extract implements [scan.Extractor]. A path that leaves the image is left out:
// pip writes such ones for what it installed with --target, and what they name
// is not there.
func (Records) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	if f.Size > maxRecord {
		return inventory.Found{}, fault.Errorf(fault.Invalid, "larger than %d bytes", maxRecord)
	}
	info := path.Dir(f.Path)
	name, _, _ := strings.Cut(path.Base(info), "-")
	o := owner{dir: path.Dir(info), pkg: normal(strings.TrimSuffix(name, ".egg-info")), folders: map[string]bool{}}
	var err error
	if path.Base(f.Path) == "RECORD" {
		err = o.record(io.LimitReader(f, maxRecord))
	} else { // whose paths begin at the folder itself
		err = metadata.Lines(f, maxRecord, func(line string) error { return o.add(path.Join(path.Base(info), line), "") })
	}
	return inventory.Found{Owned: o.list}, err
}

// owner gathers what one distribution brought.
type owner struct {
	dir, pkg string // paths begin at dir
	list     []inventory.Owned
	folders  map[string]bool // of modules, directly in dir
}

// record reads lines of path, hash and size, as CSV.
func (o *owner) record(r io.Reader) error {
	lines := csv.NewReader(bufio.NewReader(r))
	lines.FieldsPerRecord, lines.ReuseRecord = -1, true
	for {
		fields, err := lines.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fault.Errorf(fault.Invalid, "not a list of files: %w", err)
		}
		sum := ""
		if len(fields) > 1 {
			sum = digest(fields[1])
		}
		if err := o.add(strings.Clone(fields[0]), sum); err != nil {
			return err
		}
	}
}

// digest returns a hash "sha256=BASE64URL" as [inventory.Owned] has it, "" for
// any other.
func digest(s string) string {
	encoded, ok := strings.CutPrefix(s, "sha256=")
	if !ok {
		return ""
	}
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(encoded, "="))
	if err != nil || len(b) != 32 {
		return ""
	}
	return "sha256:" + hex.EncodeToString(b)
}

// add notes one file, if it may be run, and the folder of modules that it is in.
func (o *owner) add(name, sum string) error {
	if name == "" {
		return nil
	}
	p, ok := metadata.Inside(o.dir, name)
	if !ok {
		return nil
	}
	top, _, below := strings.Cut(name, "/")
	if strings.HasSuffix(top, ".dist-info") || strings.HasSuffix(top, ".egg-info") {
		return nil
	}
	if metadata.MayRun(name) {
		if err := o.own(p, sum); err != nil {
			return err
		}
		// pip install --target=DIR puts programs into DIR/bin and writes this.
		if program, ok := strings.CutPrefix(name, "../../bin/"); ok {
			if p, ok := metadata.Inside(o.dir, path.Join("bin", program)); ok {
				if err := o.own(p, sum); err != nil {
					return err
				}
			}
		}
	}
	if below && top != "" && top != ".." && top != "bin" && top != "scripts" && !o.folders[top] {
		o.folders[top] = true
		return o.own(path.Join(o.dir, top)+"/", "")
	}
	return nil
}

func (o *owner) own(p, sum string) error {
	o.list = append(o.list, inventory.Owned{Path: p, Package: o.pkg, Type: inventory.PyPI, Sum: sum})
	if len(o.list) > scan.MaxComponents {
		return fault.Errorf(fault.Invalid, "more than %d files", scan.MaxComponents)
	}
	return nil
}
