package advisory

import (
	"fmt"
	"slices"
)

// kind orders events at one and the same version: a range that is introduced
// and fixed there starts anew, one that is last affected there ends after it.
type kind uint8

const (
	fixed kind = iota
	introduced
	lastAffected
)

// split returns the event's version and what happens at it.
func (e Event) split() (string, kind, error) {
	set := 0
	for _, v := range []string{e.Introduced, e.Fixed, e.LastAffected, e.Limit} {
		if v != "" {
			set++
		}
	}
	switch {
	case set != 1:
		return "", 0, fmt.Errorf("an event has %d of introduced, fixed and last_affected", set)
	case e.Introduced != "":
		return e.Introduced, introduced, nil
	case e.Fixed != "":
		return e.Fixed, fixed, nil
	case e.LastAffected != "":
		return e.LastAffected, lastAffected, nil
	}
	return "", 0, fmt.Errorf("an event with a limit is only known of Git ranges")
}

// check returns an error unless every range can be evaluated.
func (a *Affected) check() error {
	order, err := OrderOf(a.Package.Ecosystem)
	if err != nil {
		return nil //nolint:nilerr // not evaluated here; match says so when an inventory needs it
	}
	if a.Package.Name == "" {
		return fmt.Errorf("no name")
	}
	for _, r := range a.Ranges {
		switch r.Type {
		case Git:
			continue
		case Semver, ByEcosystem:
		default:
			return fmt.Errorf("unknown type of range %q", r.Type)
		}
		if err := r.check(order); err != nil {
			return err
		}
	}
	return nil
}

func (r *Range) check(order Order) error {
	starts := false
	for _, e := range r.Events {
		version, k, err := e.split()
		if err != nil {
			return err
		}
		starts = starts || k == introduced
		if k == introduced && version == "0" {
			continue
		}
		if _, err := order(version, version); err != nil {
			return err
		}
	}
	if !starts {
		return fmt.Errorf("a range without an introduced event")
	}
	return nil
}

// Covers reports whether version is affected. The error says that the version
// cannot be compared; single versions are found by their text even then.
func (a *Affected) Covers(order Order, version string) (bool, error) {
	if slices.Contains(a.Versions, version) {
		return true, nil
	}
	if _, err := order(version, version); err != nil {
		return false, err
	}
	for _, v := range a.Versions {
		if c, err := order(v, version); err == nil && c == 0 {
			return true, nil
		}
	}
	for _, r := range a.Ranges {
		if r.Type == Git {
			continue
		}
		if in, err := r.covers(order, version); in || err != nil {
			return in, err
		}
	}
	return false, nil
}

// covers finds the last event at or before version; it says whether version is
// affected.
func (r *Range) covers(order Order, version string) (bool, error) {
	last, state := "", fixed // at no version yet
	for _, e := range r.Events {
		at, k, err := e.split()
		if err != nil {
			return false, err
		}
		if at == "0" && k == introduced { // before every other event
			if last == "" {
				state = introduced
			}
			continue
		}
		c, err := order(version, at)
		if err != nil {
			return false, err
		}
		if c < 0 || (c == 0 && k == lastAffected) {
			continue
		}
		c = 1
		if last != "" {
			if c, err = order(at, last); err != nil {
				return false, err
			}
		}
		if c > 0 || (c == 0 && k > state) {
			last, state = at, k
		}
	}
	return state == introduced, nil
}

// Fixes returns the versions that end a range of a and lie above version,
// lowest first, each once.
func (a *Affected) Fixes(order Order, version string) ([]string, error) {
	var above []string
	for _, r := range a.Ranges {
		for _, e := range r.Events {
			if r.Type == Git || e.Fixed == "" {
				continue
			}
			c, err := order(e.Fixed, version)
			if err != nil {
				return nil, err
			}
			if c > 0 {
				above = append(above, e.Fixed)
			}
		}
	}
	slices.SortFunc(above, func(x, y string) int { c, _ := order(x, y); return c }) // both were compared above
	return slices.Compact(above), nil
}
