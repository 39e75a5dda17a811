package advisory

import (
	"fmt"
	"strings"
)

// Severity is how bad an advisory says a hole is, ordered: a larger one is
// worse. Unknown is not harmless: it is what nobody has judged.
type Severity uint8

// The severities, as CVSS v3.1 and v4.0 rate them (section 5, "Qualitative
// Severity Rating Scale").
const (
	Unknown Severity = iota
	None
	Low
	Medium
	High
	Critical
)

var severities = [...]string{"unknown", "none", "low", "medium", "high", "critical"}

// String returns the severity in lower case.
func (s Severity) String() string {
	if int(s) < len(severities) {
		return severities[s]
	}
	return fmt.Sprintf("severity %d", uint8(s))
}

// MarshalText writes the severity as String does.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (s *Severity) UnmarshalText(b []byte) error {
	for i, name := range severities {
		if strings.EqualFold(name, string(b)) {
			*s = Severity(i)
			return nil
		}
	}
	return fmt.Errorf("severity %q is none of unknown, none, low, medium, high, critical", b)
}

// Rate returns the severity of a CVSS base score from 0 to 10.
func Rate(score float64) Severity {
	switch {
	case score >= 9:
		return Critical
	case score >= 7:
		return High
	case score >= 4:
		return Medium
	case score > 0:
		return Low
	}
	return None
}
