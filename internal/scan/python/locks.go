package python

import (
	"context"
	"path"
	"slices"
	"strconv"
	"strings"

	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/metadata"
)

// Locks is a [scan.Extractor] of poetry.lock, pdm.lock, uv.lock, pylock.toml
// (PEP 751), Pipfile.lock, and of the exact pins in requirements.txt. They count
// only where no virtual environment lies beside them, and only with little
// confidence. What a file marks as needed for development only, and what comes
// from a folder or a repository, is left out.
type Locks struct{}

var _ scan.Extractor = Locks{}

const (
	maxLock = 32 << 20 // bytes of a lock file
	// pin is the confidence in a line of requirements.txt, which people write by
	// hand and for many ends.
	pin = 0.4
)

// Name implements [scan.Extractor].
func (Locks) Name() string { return "python-lock" }

// Version implements [scan.Extractor].
func (Locks) Version() int { return 1 }

// Wants implements [scan.Extractor].
func (Locks) Wants(e image.Entry, _ []byte) bool {
	switch base := path.Base(e.Path); base {
	case "poetry.lock", "pdm.lock", "uv.lock", "pylock.toml", "Pipfile.lock", "requirements.txt":
		return metadata.Project(e.Path)
	}
	return false
}

// Extract implements [scan.Extractor].
func (Locks) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	var l list
	var err error
	switch path.Base(f.Path) {
	case "Pipfile.lock":
		err = l.pipfile(f)
	case "requirements.txt":
		err = metadata.Lines(f, maxLock, l.requirement)
	default:
		err = l.toml(f)
	}
	found := l.Planned(path.Join(path.Dir(f.Path), ".venv"))
	if path.Base(f.Path) == "requirements.txt" {
		for i := range found.Components {
			found.Components[i].Evidence[0].Confidence = pin
		}
	}
	return found, err
}

// list is the packages of a lock file.
type list struct{ metadata.List }

func (l *list) add(name, version string) error {
	if name == "" || version == "" {
		return nil
	}
	return l.Add(inventory.Component{Kind: inventory.Library, Type: inventory.PyPI, Name: normal(name), Version: version})
}

// pipfile reads the part "default" of Pipfile.lock.
func (l *list) pipfile(f scan.File) error {
	return metadata.ReadJSON(f, maxLock, func(d metadata.JSON, key string) error {
		if key != "default" {
			return d.Skip()
		}
		return d.Object(func(name string) error {
			version, err := d.TextOf("version")
			if err != nil {
				return err
			}
			if version, ok := strings.CutPrefix(version, "=="); ok {
				return l.add(name, version)
			}
			return nil
		})
	})
}

// requirement reads one line of a requirements file (pip, "Requirements File
// Format"): NAME==VERSION with extras before, markers and hashes behind.
func (l *list) requirement(line string) error {
	line, _, _ = strings.Cut(line, " #")
	line, _, _ = strings.Cut(strings.TrimSuffix(strings.TrimSpace(line), "\\"), ";")
	line, _, _ = strings.Cut(line, " --")
	name, version, ok := strings.Cut(line, "==")
	name, _, _ = strings.Cut(name, "[")
	name, version = strings.TrimSpace(name), strings.TrimSpace(strings.TrimPrefix(version, "="))
	if !ok || name == "" || name[0] == '#' || name[0] == '-' || strings.ContainsAny(name, "<>~!=@ /:'\"") || strings.ContainsAny(version, "*, <>") {
		return nil
	}
	return l.add(name, version)
}

// locked is one package of a lock file in TOML.
type locked struct {
	name, version string
	skip          bool // for development only, or not from an index
}

// toml reads the array of tables "package" (of pylock.toml: "packages"). The
// files are made by programs, one key a line, and are read as such: no part of
// TOML that could surprise is looked at.
//
//	[[package]]
//	name = "six"
//	version = "1.16.0"
//	source = { registry = "…" }
//	groups = ["default"]
func (l *list) toml(f scan.File) error {
	var one locked
	table := ""
	err := metadata.Lines(f, maxLock, func(line string) error {
		if strings.HasPrefix(line, "[") {
			table = strings.Trim(strings.TrimSpace(line), "[]")
			if !strings.HasPrefix(line, "[[package") || table != "package" && table != "packages" {
				return nil
			}
			before := one
			one = locked{}
			return l.locked(before)
		}
		if key, value, ok := strings.Cut(line, " = "); ok {
			one.field(table, key, value)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return l.locked(one)
}

func (l *list) locked(p locked) error {
	if p.skip {
		return nil
	}
	return l.add(p.name, p.version)
}

func (p *locked) field(table, key, value string) {
	switch {
	case table == "package.source" && key == "type": // Poetry; "legacy" is an index of one's own
		p.skip = p.skip || unquote(value) != "legacy"
	case table != "package" && table != "packages":
	case key == "name":
		p.name = unquote(value)
	case key == "version":
		p.version = unquote(value)
	case key == "source": // uv
		p.skip = p.skip || !strings.Contains(value, "registry = ")
	case key == "category":
		p.skip = p.skip || unquote(value) == "dev"
	case key == "groups":
		p.skip = p.skip || development(value)
	case key == "git", key == "path", key == "hg", key == "svn", key == "directory", key == "vcs": // PDM, PEP 751
		p.skip = true
	}
}

// development reports whether the array of groups holds only such as are not
// for running the program.
func development(array string) bool {
	names := strings.Split(strings.Trim(array, "[] "), ",")
	return !slices.ContainsFunc(names, func(s string) bool {
		switch unquote(strings.TrimSpace(s)) {
		case "dev", "test", "tests", "lint", "docs", "doc", "typing":
			return false
		}
		return true
	})
}

// unquote returns what a TOML string of one line says, "" for anything else.
func unquote(s string) string {
	if len(s) > 1 && s[0] == '\'' && s[len(s)-1] == '\'' {
		return s[1 : len(s)-1]
	}
	if text, err := strconv.Unquote(s); err == nil && s[0] == '"' {
		return text
	}
	return ""
}
