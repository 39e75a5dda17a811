package erlang

import (
	"context"
	"path"
	"strings"

	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/metadata"
)

// Locks is a [scan.Extractor] of mix.lock and rebar.lock, which count only where
// nothing was built beside them. What comes from a repository is left out.
type Locks struct{}

var _ scan.Extractor = Locks{}

const maxLock = 8 << 20 // bytes of a lock file

// Name implements [scan.Extractor].
func (Locks) Name() string { return "hex-lock" }

// Version implements [scan.Extractor].
func (Locks) Version() int { return 1 }

// Wants implements [scan.Extractor].
func (Locks) Wants(e image.Entry, _ []byte) bool {
	base := path.Base(e.Path)
	return (base == "mix.lock" || base == "rebar.lock") && metadata.Project(e.Path)
}

// Extract implements [scan.Extractor].
func (Locks) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	var found metadata.List
	var err error
	if path.Base(f.Path) == "mix.lock" {
		err = mix(f, &found)
	} else {
		err = rebar(f, &found)
	}
	return found.Planned(path.Join(path.Dir(f.Path), "_build")), err
}

// mix reads mix.lock, one package a line:
//
//	"jason": {:hex, :jason, "1.4.0", "e855…", [:mix], …},
func mix(f scan.File, found *metadata.List) error {
	return metadata.Lines(f, maxLock, func(line string) error {
		_, rest, ok := strings.Cut(line, `": {:hex, :`)
		if !ok {
			return nil
		}
		name, rest, _ := strings.Cut(rest, ",")
		version, _, ok := strings.Cut(strings.TrimPrefix(rest, ` "`), `"`)
		if !ok {
			return nil
		}
		return add(found, strings.Trim(name, `"`), version)
	})
}

// rebar reads the packages of rebar.lock:
//
//	{<<"idna">>,{pkg,<<"idna">>,<<"6.1.1">>},0},
func rebar(f scan.File, found *metadata.List) error {
	text, err := metadata.All(f, maxLock)
	if err != nil {
		return err
	}
	t := terms{rest: text}
	for token := t.next(); token != ""; token = t.next() {
		if token != "pkg" || t.next() != "," {
			continue
		}
		name, ok := t.binary()
		if !ok || t.next() != "," {
			continue
		}
		if version, ok := t.binary(); ok {
			if err := add(found, name, version); err != nil {
				return err
			}
		}
	}
	return nil
}

// binary reads <<"text">>.
func (t *terms) binary() (string, bool) {
	if t.next() != "<<" {
		return "", false
	}
	text, err := t.text(t.next())
	return text, err == nil && t.next() == ">>"
}

func add(found *metadata.List, name, version string) error {
	if name == "" || version == "" {
		return nil
	}
	return found.Add(inventory.Component{Kind: inventory.Library, Type: inventory.Hex, Name: name, Version: version})
}
