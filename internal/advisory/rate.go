package advisory

import (
	"fmt"
	"strings"

	gocvss20 "github.com/pandatix/go-cvss/20"
	gocvss30 "github.com/pandatix/go-cvss/30"
	gocvss31 "github.com/pandatix/go-cvss/31"
	gocvss40 "github.com/pandatix/go-cvss/40"
)

// Vector is a severity as a CVSS vector (osv-schema, "severity[] field").
type Vector struct {
	Type  string `json:"type"` // "CVSS_V2", "CVSS_V3", "CVSS_V4", or a distribution's own
	Score string `json:"score"`
}

// base returns the vector's base score from 0 to 10, and the version of CVSS
// that it is written in, 0 if it is not CVSS.
func (v Vector) base() (score float64, version int, err error) {
	s := strings.TrimSpace(v.Score)
	switch {
	case strings.HasPrefix(s, "CVSS:4.0/"):
		c, err := gocvss40.ParseVector(s)
		if err != nil {
			return 0, 0, fmt.Errorf("severity %q: %w", s, err)
		}
		return c.Score(), 40, nil
	case strings.HasPrefix(s, "CVSS:3.1/"):
		c, err := gocvss31.ParseVector(s)
		if err != nil {
			return 0, 0, fmt.Errorf("severity %q: %w", s, err)
		}
		return c.BaseScore(), 31, nil
	case strings.HasPrefix(s, "CVSS:3.0/"):
		c, err := gocvss30.ParseVector(s)
		if err != nil {
			return 0, 0, fmt.Errorf("severity %q: %w", s, err)
		}
		return c.BaseScore(), 30, nil
	case v.Type == "CVSS_V2":
		c, err := gocvss20.ParseVector(strings.Trim(s, "()"))
		if err != nil {
			return 0, 0, fmt.Errorf("severity %q: %w", s, err)
		}
		return c.BaseScore(), 20, nil
	case strings.HasPrefix(v.Type, "CVSS_"):
		return 0, 0, fmt.Errorf("severity %q: not a CVSS vector", s)
	}
	return 0, 0, nil
}

// worst rates the vectors of the newest version of CVSS among them and returns
// the highest score; Unknown if there is none.
func worst(vectors []Vector) (Severity, float64, error) {
	best, newest := 0.0, 0
	for _, v := range vectors {
		score, version, err := v.base()
		if err != nil {
			return Unknown, 0, err
		}
		if version > newest || (version == newest && score > best) {
			best, newest = score, version
		}
	}
	if newest == 0 {
		return Unknown, 0, nil
	}
	return Rate(best), best, nil
}

// words are the severities that databases write.
var words = map[string]Severity{
	"none": None, "unimportant": None, "negligible": Low, "low": Low, "moderate": Medium, "medium": Medium,
	"important": High, "high": High, "critical": Critical,
}

// Rate returns how bad the record says the hole is: by its CVSS vectors, those
// of single packages included, or else in its database's words; Unknown if it
// says nothing. score is 0 unless it is CVSS's.
func (r *Record) Rate() (s Severity, score float64, err error) {
	all := r.Severity
	for _, a := range r.Affected {
		all = append(all[:len(all):len(all)], a.Severity...)
	}
	if s, score, err = worst(all); err != nil || s != Unknown {
		return s, score, err
	}
	return words[strings.ToLower(r.Database.Severity)], 0, nil
}
