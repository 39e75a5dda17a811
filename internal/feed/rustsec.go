package feed

import (
	"bytes"
	"fmt"
	"strings"

	"deps.dev/util/semver"
	"github.com/BurntSushi/toml"

	"plimsoll/internal/advisory"
)

// rustsec is the TOML head of a RustSec advisory (rustsec/advisory-db,
// EXAMPLE_ADVISORY.md).
type rustsec struct {
	Advisory struct {
		ID            string
		Package       string
		Date          string
		URL           string
		CVSS          string
		Aliases       []string
		Collection    string // "crates", or "rust" for the toolchain
		Informational string // "unmaintained", "notice": no hole; "unsound": one
		Withdrawn     string
	}
	Versions struct {
		Patched    []string
		Unaffected []string
	}
}

// parseRustSec reads one advisory: TOML between ```toml and ```, then Markdown.
// One that only informs, or speaks of the toolchain, gives no record.
func parseRustSec(body []byte) ([]*advisory.Record, []error) {
	head, text, err := splitRustSec(body)
	if err != nil {
		return nil, []error{err}
	}
	var doc rustsec
	if err := toml.Unmarshal(head, &doc); err != nil {
		return nil, []error{err}
	}
	a := doc.Advisory
	if a.Informational == "unmaintained" || a.Informational == "notice" || a.Collection == "rust" {
		return []*advisory.Record{nil}, nil
	}
	r := &advisory.Record{ID: a.ID, Aliases: a.Aliases, Details: string(text)}
	r.Database.URL = "https://rustsec.org/advisories/" + a.ID
	if r.Published, err = parseDate(a.Date); err != nil {
		return nil, []error{err}
	}
	if a.Withdrawn != "" {
		if r.Withdrawn, err = parseDate(a.Withdrawn); err != nil {
			return nil, []error{err}
		}
	}
	if a.CVSS != "" {
		r.Severity = []advisory.Vector{{Type: "CVSS_V3", Score: a.CVSS}}
	}
	vulnerable, err := doc.vulnerable()
	if err != nil {
		return nil, []error{err}
	}
	if len(vulnerable) > 0 {
		r.Affected = []advisory.Affected{{
			Package: advisory.Package{Ecosystem: advisory.Crates, Name: a.Package},
			Ranges:  []advisory.Range{{Type: advisory.Semver, Events: events(vulnerable)}},
		}}
	}
	return []*advisory.Record{r}, nil
}

func splitRustSec(body []byte) (head, text []byte, err error) {
	rest, ok := bytes.CutPrefix(bytes.TrimSpace(body), []byte("```toml"))
	if !ok {
		return nil, nil, fmt.Errorf("does not begin with ```toml")
	}
	head, text, ok = bytes.Cut(rest, []byte("\n```"))
	if !ok {
		return nil, nil, fmt.Errorf("the head has no end")
	}
	return head, text, nil
}

// vulnerable returns the versions that are neither patched nor unaffected.
func (r *rustsec) vulnerable() ([]span, error) {
	var safe []span
	for _, list := range [][]string{r.Versions.Patched, r.Versions.Unaffected} {
		for _, requirement := range list {
			spans, err := spansOf(semver.Cargo, strings.TrimSpace(requirement))
			if err != nil {
				return nil, err
			}
			safe = append(safe, spans...)
		}
	}
	return outside(safe), nil
}
