package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// A scan is what the story reads of a scan's JSON.
type scan struct {
	Findings []struct {
		ID        string `json:"id"`
		Severity  string `json:"severity"`
		Fixed     string `json:"fixed"`
		Exploited bool   `json:"exploited"`
		Advice    string `json:"advice"`
		Component struct {
			Namespace string `json:"namespace"`
			Name      string `json:"name"`
		} `json:"component"`
	} `json:"findings"`
}

// count returns how many findings there are of a severity.
func (s *scan) count(severity string) (n int) {
	for _, f := range s.Findings {
		if f.Severity == severity {
			n++
		}
	}
	return n
}

// exploited returns the findings that are exploited, by ID.
func (s *scan) exploited() (ids []string) {
	for _, f := range s.Findings {
		if f.Exploited && !slices.Contains(ids, f.ID) {
			ids = append(ids, f.ID)
		}
	}
	return ids
}

// about reports whether a component of this name has a finding.
func (s *scan) about(name string) bool {
	for _, f := range s.Findings {
		if c := f.Component; c.Name == name || c.Namespace+"/"+c.Name == name {
			return true
		}
	}
	return false
}

var severities = []string{"critical", "high", "medium", "low", "unknown"}

// scans looks into both images.
func (s *story) scans(ctx context.Context) error {
	s.stage.prose("Real advisories, kept in the project, become packs. A scan then reads every layer once.")
	if _, err := s.plimsoll(ctx, allowed, "advisories", "build", "advisories"); err != nil {
		return err
	}
	s.stage.limit = tableLines
	defer func() { s.stage.limit = usualLines }()
	found := map[string]*scan{}
	for _, tag := range []string{"old", "new"} {
		if _, err := s.plimsoll(ctx, allowed, "scan", s.image(tag)); err != nil {
			return err
		}
		found[tag] = &scan{}
		if err := s.quiet(ctx, allowed, found[tag], "scan", s.image(tag)); err != nil {
			return err
		}
	}
	return s.compare(found["old"], found["new"])
}

// compare checks that the new image is better than the old.
func (s *story) compare(old, new *scan) error {
	if len(old.Findings) == 0 || len(new.Findings) >= len(old.Findings) {
		return fmt.Errorf("%d findings in old and %d in new: they did not fall", len(old.Findings), len(new.Findings))
	}
	for _, severity := range severities {
		o, n := old.count(severity), new.count(severity)
		if n > o {
			return fmt.Errorf("%s findings rose from %d to %d", severity, o, n)
		}
		if o > 0 {
			s.stage.fact("%-8s findings fell from %3d to %d", severity, o, n)
		}
	}
	for _, name := range []string{"openssl", "expat", "perl", "python3.11", "nginx", "golang.org/x/net", "lodash", "urllib3"} {
		if !old.about(name) {
			return fmt.Errorf("nothing is said about %s in old", name)
		}
	}
	for _, f := range old.Findings {
		if f.Advice == "" {
			return fmt.Errorf("%s in %s comes without advice", f.ID, f.Component.Name)
		}
	}
	if len(old.exploited()) == 0 || len(new.exploited()) != 0 {
		return errors.New("what is being exploited is not in old alone")
	}
	s.stage.fact("exploited in the wild, in old: %v; in new: none", old.exploited())
	return nil
}
