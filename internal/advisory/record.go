package advisory

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"

	"plimsoll/internal/fault"
)

// Caps on one record, so that none can cost more than it is worth.
const (
	MaxRecordBytes = 16 << 20
	maxEvents      = 20_000 // of one record, all ranges together
	maxText        = 300    // bytes of a summary
)

// Record is one advisory in the form of OSV, reduced to what is used here.
// Dates are zero where they are unknown; some databases write the year 1.
type Record struct {
	ID         string      `json:"id"`
	Published  time.Time   `json:"published,omitzero"`
	Modified   time.Time   `json:"modified,omitzero"`
	Withdrawn  time.Time   `json:"withdrawn,omitzero"` // zero: it stands
	Aliases    []string    `json:"aliases,omitempty"`  // other names of the same hole
	Upstream   []string    `json:"upstream,omitempty"` // names that a distribution's record was made from
	Summary    string      `json:"summary,omitempty"`  // one line
	Details    string      `json:"details,omitempty"`  // Markdown; [Record.Trim] takes it away
	Severity   []Vector    `json:"severity,omitempty"`
	Affected   []Affected  `json:"affected,omitempty"`
	References []Reference `json:"references,omitempty"`
	Database   Specific    `json:"database_specific,omitzero"`
}

// Specific is what a database says in its own words.
type Specific struct {
	Severity string `json:"severity,omitempty"` // in words: "MODERATE", "low"
	URL      string `json:"url,omitempty"`
	// Note is why there is no fix, or why none is needed, in a few words.
	Note string `json:"note,omitempty"`
}

// UnmarshalJSON takes the fields that are texts and leaves the rest: a database
// may use the same name for something else.
func (s *Specific) UnmarshalJSON(b []byte) error {
	var fields map[string]json.RawMessage
	if json.Unmarshal(b, &fields) != nil {
		return nil //nolint:nilerr // not an object: nothing that is used here
	}
	for name, to := range map[string]*string{"severity": &s.Severity, "url": &s.URL, "note": &s.Note} {
		var text string
		if json.Unmarshal(fields[name], &text) == nil {
			*to = text
		}
	}
	return nil
}

// Reference is a page about the advisory.
type Reference struct {
	Type string `json:"type"`
	URL  string `json:"url"`
}

// Affected says which versions of one package are affected.
type Affected struct {
	Package  Package  `json:"package"`
	Severity []Vector `json:"severity,omitempty"`
	Ranges   []Range  `json:"ranges,omitempty"`
	Versions []string `json:"versions,omitempty"`
	// FixedOn says when a fixed version became available, where a source knows
	// it for a single version; it is ours, OSV has no such field.
	FixedOn map[string]time.Time `json:"fixedOn,omitempty"`
}

// Package names a package.
type Package struct {
	Ecosystem Ecosystem `json:"ecosystem"`
	Name      string    `json:"name"`
}

// Range is a list of events, in any order.
type Range struct {
	Type   RangeType `json:"type"`
	Events []Event   `json:"events"`
}

// RangeType is how the versions of a range are ordered.
type RangeType string

// The types of range (osv-schema, "affected[].ranges[].type field"). A Git
// range speaks of commits, which no inventory has; it is not evaluated.
const (
	Semver      RangeType = "SEMVER"
	ByEcosystem RangeType = "ECOSYSTEM"
	Git         RangeType = "GIT"
)

// Event is a version at which a package became affected or stopped to be.
// Exactly one field is set. Introduced "0" is before every version.
type Event struct {
	Introduced   string `json:"introduced,omitempty"`
	Fixed        string `json:"fixed,omitempty"`         // the first that is not affected any more
	LastAffected string `json:"last_affected,omitempty"` // the last that is affected
	Limit        string `json:"limit,omitempty"`         // of Git ranges only
}

// identifier is the form of an advisory's name.
var identifier = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}$`)

// Parse returns the record that the JSON text b holds, checked as [Record.Check]
// does. Fields that are not used here are passed over. Errors are Invalid.
func Parse(b []byte) (*Record, error) {
	if len(b) > MaxRecordBytes {
		return nil, fault.Errorf(fault.Invalid, "advisory: larger than %d bytes", MaxRecordBytes)
	}
	r := new(Record)
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fault.Errorf(fault.Invalid, "advisory: %w", err)
	}
	return r, r.Check()
}

// Check returns an Invalid error unless the record can be evaluated: its name
// is one, every version in its ranges is one, and every severity can be rated.
// Packages of ecosystems that are not ordered here are passed over.
func (r *Record) Check() error {
	for _, id := range slices.Concat([]string{r.ID}, r.Aliases, r.Upstream) {
		if !identifier.MatchString(id) {
			return fault.Errorf(fault.Invalid, "advisory %q: %q is not the name of an advisory", r.ID, id)
		}
	}
	if _, _, err := r.Rate(); err != nil {
		return fault.Errorf(fault.Invalid, "advisory %q: %w", r.ID, err)
	}
	events := 0
	for i := range r.Affected {
		a := &r.Affected[i]
		for _, g := range a.Ranges {
			events += len(g.Events)
		}
		if events > maxEvents {
			return fault.Errorf(fault.Invalid, "advisory %q: more than %d events", r.ID, maxEvents)
		}
		if err := a.check(); err != nil {
			return fault.Errorf(fault.Invalid, "advisory %q: package %q: %w", r.ID, a.Package.Name, err)
		}
	}
	return nil
}

// Names returns all names of the hole, the record's own first.
func (r *Record) Names() []string {
	return slices.Concat([]string{r.ID}, r.Aliases, r.Upstream)
}

// Trim takes away what only a person would read, and leaves a summary of one
// line.
func (r *Record) Trim() {
	if r.Summary == "" {
		r.Summary = r.Details
	}
	r.Summary = oneLine(r.Summary)
	r.Details = ""
	if r.Database.URL == "" && len(r.References) > 0 {
		r.Database.URL = r.References[0].URL
		for _, ref := range r.References {
			if ref.Type == "ADVISORY" {
				r.Database.URL = ref.URL
				break
			}
		}
	}
	r.References = nil
}

// oneLine returns the first lines of s as one, cut at a word.
func oneLine(s string) string {
	s = strings.ToValidUTF8(strings.TrimLeft(s, "# \n\t"), "\uFFFD")
	if i := strings.Index(s, "\n\n"); i >= 0 {
		s = s[:i]
	}
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= maxText {
		return s
	}
	cut := strings.LastIndexByte(s[:maxText], ' ')
	if cut < maxText/2 {
		cut = maxText
		for cut > 0 && s[cut]&0xC0 == 0x80 { // inside a character
			cut--
		}
	}
	return s[:cut] + " …"
}
