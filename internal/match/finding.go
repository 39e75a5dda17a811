package match

import (
	"cmp"
	"context"
	"slices"
	"time"

	"plimsoll/internal/advisory"
	"plimsoll/internal/finding"
	"plimsoll/internal/inventory"
)

// finding makes one of a group of records about one hole.
func (r *run) finding(ctx context.Context, c *inventory.Component, t target, order advisory.Order, group []hit) (finding.Finding, error) {
	first := group[0].record
	f := finding.Finding{
		Advisory:  first.ID,
		Component: *c,
		Source:    string(t.ecosystem),
		URL:       first.Database.URL,
	}
	f.ID, f.Aliases = names(group)
	if fixed := fix(order, group, t.version); fixed != "" {
		f.Fixed, f.FixedSince = written(t, fixed), since(order, group, fixed)
	}
	unclear := true
	for _, h := range group {
		s, score, err := h.record.Rate()
		if err != nil {
			return finding.Finding{}, err
		}
		if s > f.Severity || (s == f.Severity && score > f.Score) {
			f.Severity, f.Score = s, score
		}
		f.Summary = cmp.Or(f.Summary, h.record.Summary)
		unclear = unclear && h.unclear
	}
	if err := r.overlay(ctx, &f); err != nil {
		return finding.Finding{}, err
	}
	f.Advice = r.advise(c, t, f.Fixed, note(group), unclear)
	return f, nil
}

// overlay adds what is known about the finding's CVEs by themselves.
func (r *run) overlay(ctx context.Context, f *finding.Finding) error {
	rated := f.Severity != advisory.Unknown
	for _, name := range slices.Concat([]string{f.ID}, f.Aliases) {
		if !isCVE(name) {
			continue
		}
		listed, err := r.ask(ctx, advisory.Exploited, name)
		if err != nil {
			return err
		}
		f.Exploited = f.Exploited || len(listed) > 0
		if rated && f.Summary != "" {
			continue
		}
		records, err := r.ask(ctx, advisory.Severities, name)
		if err != nil {
			return err
		}
		for _, record := range records {
			f.Summary = cmp.Or(f.Summary, record.Summary)
			s, score, err := record.Rate()
			if err != nil {
				return err
			}
			if !rated && (s > f.Severity || (s == f.Severity && score > f.Score)) {
				f.Severity, f.Score = s, score
			}
		}
	}
	return nil
}

// since returns when the fixed version was available: the date of that version
// where a source has it, or else when the first record that names it was
// published; zero if neither is known.
func since(order advisory.Order, group []hit, fixed string) (t time.Time) {
	for _, h := range group {
		for i := range h.record.Affected {
			a := &h.record.Affected[i]
			if on, ok := a.FixedOn[fixed]; ok {
				return on
			}
			if !namesFix(order, a, fixed) || h.record.Published.IsZero() {
				continue
			}
			if t.IsZero() || h.record.Published.Before(t) {
				t = h.record.Published
			}
		}
	}
	return t
}

func namesFix(order advisory.Order, a *advisory.Affected, fixed string) bool {
	for _, r := range a.Ranges {
		for _, e := range r.Events {
			if e.Fixed == "" {
				continue
			}
			if c, err := order(e.Fixed, fixed); err == nil && c == 0 {
				return true
			}
		}
	}
	return false
}

// note returns why there is no fix, if a record says so.
func note(group []hit) string {
	for _, h := range group {
		if h.record.Database.Note != "" {
			return h.record.Database.Note
		}
	}
	return ""
}
