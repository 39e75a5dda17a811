package feed

import (
	"os"
	"path"

	"plimsoll/internal/advisory"
)

const debianTracker = "debian-tracker"

// format is how a publisher writes advisories.
type format struct {
	files string // pattern of the names of its files (path.Match)
	max   int64  // bytes of one file
	parse parser
}

const (
	small = 16 << 20  // a file of one record
	large = 256 << 20 // a file of a whole database
)

// formats are the formats that the manifest may name.
var formats = map[string]format{
	"osv":                {"*.json", small, parseOSV},
	"osv-severity":       {"*.json", large, parseOSVSeverity},
	"osv-yaml":           {"*.yaml", small, parseOSVYAML},
	"rustsec":            {"RUSTSEC-*.md", small, parseRustSec},
	"nodejs-security-wg": {"[0-9]*.json", small, parseNodeSecurity},
	"retire-npm":         {"npmrepository.json", large, parseRetire},
	"kev":                {"known_exploited_vulnerabilities.json", large, parseKEV},
	"cve":                {"CVE-*.json", small, parseCVE},
	debianTracker:        {"*.json", large, nil}, // parser needs its dates: see source.parser
}

// parser returns what reads the source's files.
func (s *source) parser(root *os.Root) (parser, error) {
	if s.Format != debianTracker {
		return formats[s.Format].parse, nil
	}
	dates, err := s.fixDates(root)
	if err != nil {
		return nil, err
	}
	return func(body []byte) ([]*advisory.Record, []error) { return parseTracker(body, dates) }, nil
}

// wants reports whether a file of the source holds advisories.
func (s *source) wants(name string) bool {
	ok, err := path.Match(formats[s.Format].files, path.Base(name))
	return err == nil && ok && below(name, s.Under)
}
