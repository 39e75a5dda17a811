// Package finding is a component together with an advisory that applies to it,
// and what to do about it.
package finding

import (
	"time"

	"plimsoll/internal/advisory"
	"plimsoll/internal/inventory"
)

// Finding is one advisory that applies to one component.
type Finding struct {
	ID         string              `json:"id"`                // the best known name: a CVE if there is one
	Advisory   string              `json:"advisory"`          // the record's own ID
	Aliases    []string            `json:"aliases,omitempty"` // all other names, sorted
	Component  inventory.Component `json:"component"`
	Severity   advisory.Severity   `json:"severity"`
	Score      float64             `json:"score,omitempty"`     // CVSS base score, 0 if none
	Fixed      string              `json:"fixed,omitempty"`     // lowest version that is fixed and above the installed one; "" if none
	FixedSince time.Time           `json:"fixedSince,omitzero"` // when the fix was available, zero if unknown
	Exploited  bool                `json:"exploited,omitempty"` // listed in CISA's KEV catalogue
	Summary    string              `json:"summary,omitempty"`   // one line
	Advice     string              `json:"advice"`              // what to do, one sentence
	Source     string              `json:"source"`              // the ecosystem whose advisories it came from: "Debian:12", "npm"
	URL        string              `json:"url,omitempty"`
}
