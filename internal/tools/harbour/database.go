package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/md5"
	"fmt"
	"io"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// A database is what dpkg knows in /var/lib/dpkg.
type database struct{ records []record }

// A record is one package as it is installed.
type record struct {
	name      string // of its files in info: NAME, or NAME:ARCH where several architectures may be installed
	control   string // its stanza, without Status
	md5sums   string
	conffiles []string
	files     []string // absolute
	sums      []string // of conffiles, as the stanza lists them
}

// add reads the control part of a package.
func (db *database) add(ctx context.Context, deb string) error {
	out, err := exec.CommandContext(ctx, "dpkg-deb", "--ctrl-tarfile", deb).Output()
	if err != nil {
		return fmt.Errorf("read control of %s: %w", filepath.Base(deb), err)
	}
	var r record
	err = eachEntry(bytes.NewReader(out), func(h *tar.Header, body io.Reader) error {
		text, err := io.ReadAll(body)
		if err != nil {
			return fmt.Errorf("read %q: %w", h.Name, err)
		}
		switch path.Base(h.Name) {
		case "control":
			r.control = strings.TrimSpace(string(text)) + "\n"
		case "md5sums":
			r.md5sums = string(text)
		case "conffiles":
			r.conffiles = strings.Fields(string(text))
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.name = r.field("Package")
	if r.field("Multi-Arch") == "same" {
		r.name += ":" + r.field("Architecture")
	}
	db.records = append(db.records, r)
	return nil
}

// sum adds up the package's configuration files, as the stanza lists them.
func (r *record) sum(ctx context.Context, deb string) error {
	if len(r.conffiles) == 0 {
		return nil
	}
	return eachFile(ctx, deb, func(h *tar.Header, body io.Reader) error {
		name := strings.TrimPrefix(h.Name, ".")
		if !slices.Contains(r.conffiles, name) {
			return nil
		}
		sum := md5.New()
		if _, err := io.Copy(sum, body); err != nil {
			return fmt.Errorf("read %q: %w", name, err)
		}
		r.sums = append(r.sums, fmt.Sprintf(" %s %x", name, sum.Sum(nil)))
		return nil
	})
}

// field returns the value of a field of the stanza.
func (r *record) field(name string) string {
	for line := range strings.Lines(r.control) {
		if v, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// write writes the whole status file and the lists of the records from first on.
func (db *database) write(t *tree, first int) error {
	var status strings.Builder
	for i, r := range db.records {
		head, rest, _ := strings.Cut(r.control, "\n")
		fmt.Fprintf(&status, "%s\nStatus: install ok installed\n%s", head, rest)
		if len(r.sums) > 0 {
			fmt.Fprintf(&status, "Conffiles:\n%s\n", strings.Join(r.sums, "\n"))
		}
		status.WriteString("\n")
		if i < first {
			continue
		}
		info := "var/lib/dpkg/info/" + r.name
		files := []struct{ name, body string }{
			{info + ".list", strings.Join(r.files, "\n") + "\n"},
			{info + ".md5sums", r.md5sums},
			{info + ".conffiles", strings.Join(append(r.conffiles, ""), "\n")},
		}
		for _, f := range files {
			if len(f.body) == 0 {
				continue
			}
			if err := t.file(f.name, 0o644, f.body); err != nil {
				return err
			}
		}
	}
	if err := t.file("var/lib/dpkg/info/format", 0o644, "1\n"); err != nil {
		return err
	}
	return t.file("var/lib/dpkg/status", 0o644, status.String())
}
