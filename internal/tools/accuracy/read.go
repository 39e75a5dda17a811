package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
)

// lists are packages and native code, each thing once.
type lists struct{ packages, native []item }

func (l *lists) tidy() {
	for _, list := range []*[]item{&l.packages, &l.native} {
		slices.SortFunc(*list, func(a, b item) int { return strings.Compare(a.String(), b.String()) })
		*list = slices.Compact(*list)
	}
}

// readList reads what is in the image.
func readList(file string) (lists, error) {
	f, err := os.Open(file)
	if err != nil {
		return lists{}, fmt.Errorf("read list: %w", err)
	}
	defer f.Close()
	var l lists
	for s := bufio.NewScanner(f); s.Scan(); {
		w := strings.Split(s.Text(), "\t")
		if len(w) != 4 {
			return lists{}, fmt.Errorf("read list: %q has not four columns", s.Text())
		}
		one := item{decoded(w[1]), w[2], w[3]}
		switch w[0] {
		case "package":
			l.packages = append(l.packages, one)
		case "native":
			l.native = append(l.native, one)
		case "removed": // reported, it is wrong like all that is not there
		default:
			return lists{}, fmt.Errorf("read list: no kind %q", w[0])
		}
	}
	l.tidy()
	return l, nil
}

// document is what is needed of CycloneDX.
type document struct {
	Components []struct {
		Type       string `json:"type"`
		Name       string `json:"name"`
		Version    string `json:"version"`
		PURL       string `json:"purl"`
		Properties []struct{ Name, Value string }
	}
}

// readSBOM reads what a scanner reported. Files and the operating system as a
// whole are no packages.
func readSBOM(b []byte) (lists, error) {
	var d document
	if err := json.Unmarshal(b, &d); err != nil {
		return lists{}, fmt.Errorf("read SBOM: %w", err)
	}
	var l lists
	for _, c := range d.Components {
		if c.Type == "file" || c.Type == "operating-system" {
			continue
		}
		native, links := false, false
		var paths []string
		for _, p := range c.Properties {
			switch {
			case p.Name == "plimsoll:relation" && p.Value == "links":
				links = true
			case p.Name == "plimsoll:method" && p.Value == "native", p.Name == "syft:package:type" && p.Value == "binary":
				native = true
			case p.Name == "plimsoll:path", strings.HasPrefix(p.Name, "syft:location:") && strings.HasSuffix(p.Name, ":path"):
				paths = append(paths, strings.TrimPrefix(p.Value, "/"))
			}
		}
		switch {
		case links: // it is loaded from elsewhere
		case native:
			for _, p := range paths {
				l.native = append(l.native, item{c.Name, c.Version, p})
			}
		default:
			l.packages = append(l.packages, item{name(c.PURL), c.Version, ""})
		}
	}
	l.tidy()
	return l, nil
}

// name returns a package URL without version, qualifiers and subpath, decoded.
func name(purl string) string {
	purl, _, _ = strings.Cut(purl, "#")
	purl, _, _ = strings.Cut(purl, "?")
	if i := strings.LastIndexByte(purl, '@'); i > strings.LastIndexByte(purl, '/') {
		purl = purl[:i]
	}
	return decoded(purl)
}

func decoded(s string) string {
	if d, err := url.PathUnescape(s); err == nil {
		return d
	}
	return s
}
