package debian

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Source is one stanza of apt's sources (sources.list(5), deb822 form).
type Source struct {
	URIs, Suites, Components []string
	SignedBy                 string // path of a keyring, fingerprint or key; may be empty
}

// String returns the stanza as apt reads it.
func (s Source) String() string {
	text := fmt.Sprintf("Types: deb\nURIs: %s\nSuites: %s\nComponents: %s\n",
		strings.Join(s.URIs, " "), strings.Join(s.Suites, " "), strings.Join(s.Components, " "))
	if s.SignedBy != "" {
		text += "Signed-By: " + s.SignedBy + "\n"
	}
	return text
}

// Sources returns the enabled binary sources of the machine's apt, from the
// folder etc (/etc/apt).
func Sources(etc string) ([]Source, error) {
	names, err := filepath.Glob(filepath.Join(etc, "sources.list.d", "*"))
	if err != nil {
		return nil, fmt.Errorf("list apt's sources: %w", err)
	}
	var all []Source
	for _, name := range append([]string{filepath.Join(etc, "sources.list")}, names...) {
		var parse func(io.Reader) []Source
		switch filepath.Ext(name) {
		case ".list":
			parse = parseLines
		case ".sources":
			parse = parseStanzas
		default:
			continue
		}
		f, err := os.Open(name)
		if os.IsNotExist(err) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("read apt's sources: %w", err)
		}
		all = append(all, parse(f)...)
		f.Close()
	}
	return all, nil
}

// parseLines reads the one-line form: deb [signed-by=…] URI SUITE COMPONENT...
func parseLines(r io.Reader) []Source {
	var all []Source
	for lines := bufio.NewScanner(r); lines.Scan(); {
		line, _, _ := strings.Cut(lines.Text(), "#")
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "deb ")
		if !ok {
			continue
		}
		rest = strings.TrimSpace(rest)
		var s Source
		if strings.HasPrefix(rest, "[") {
			options, after, _ := strings.Cut(rest[1:], "]")
			for o := range strings.FieldsSeq(options) {
				if v, ok := strings.CutPrefix(o, "signed-by="); ok {
					s.SignedBy = v
				}
			}
			rest = after
		}
		fields := strings.Fields(rest)
		if len(fields) < 2 {
			continue
		}
		s.URIs, s.Suites, s.Components = fields[:1], fields[1:2], fields[2:]
		all = append(all, s)
	}
	return all
}

// parseStanzas reads the deb822 form.
func parseStanzas(r io.Reader) []Source {
	var all []Source
	fields, last := map[string]string{}, ""
	flush := func() {
		if slices.Contains(strings.Fields(fields["types"]), "deb") && !strings.EqualFold(fields["enabled"], "no") {
			all = append(all, Source{
				URIs:       strings.Fields(fields["uris"]),
				Suites:     strings.Fields(fields["suites"]),
				Components: strings.Fields(fields["components"]),
				SignedBy:   fields["signed-by"],
			})
		}
		fields, last = map[string]string{}, ""
	}
	for lines := bufio.NewScanner(r); lines.Scan(); {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.TrimSpace(line) == "":
			flush()
		case line[0] == ' ' || line[0] == '\t':
			fields[last] += "\n" + line
		default:
			name, value, _ := strings.Cut(line, ":")
			last = strings.ToLower(name)
			fields[last] = strings.TrimSpace(value)
		}
	}
	flush()
	return all
}

// carrying returns what of all serves the release codename: it and its
// -security and -updates pockets.
func carrying(all []Source, codename string) []Source {
	var some []Source
	for _, s := range all {
		var suites []string
		for _, suite := range s.Suites {
			if suite == codename || suite == codename+"-security" || suite == codename+"-updates" {
				suites = append(suites, suite)
			}
		}
		if s.Suites = suites; len(suites) > 0 {
			some = append(some, s)
		}
	}
	return some
}
