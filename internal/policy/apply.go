package policy

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"plimsoll/internal/finding"
	"plimsoll/internal/verdict"
)

// tally is what a rule came to over all its subjects.
type tally struct {
	seen     int
	denied   []hit
	excepted []string
}

type hit struct {
	weight  int // what is worse comes first
	message string
	line    string
	hint    string
}

// judgeRule applies one rule to each of its subjects.
func (e *Environment) judgeRule(ctx context.Context, now time.Time, r *Rule, f *Facts) verdict.Reason {
	if missing := r.missing(f); missing != nil {
		return *missing
	}
	var t tally
	var err error
	switch r.Each {
	case eachFinding:
		err = e.overFindings(ctx, now, r, f, &t)
	case eachComponent:
		err = r.overComponents(ctx, f, &t)
	default:
		err = r.overImage(ctx, f, &t)
	}
	if err != nil {
		return deny(r.ID, verdict.Rule, "%v", err)
	}
	return t.reason(r)
}

// missing returns a denial if what the rule judges by was not obtained.
func (r *Rule) missing(f *Facts) *verdict.Reason {
	var err error
	switch {
	case r.usesScan && (f.ScanErr != nil || f.Inventory == nil):
		err = f.ScanErr
	case r.Each == eachFinding && f.MatchErr != nil:
		err = f.MatchErr
	default:
		return nil
	}
	class := verdict.Evidence
	if err != nil {
		class = classOf(err)
	}
	d := deny(r.ID, class, "not judged: what it judges by is missing (see %q)", ruleScanned)
	return &d
}

func (e *Environment) overFindings(ctx context.Context, now time.Time, r *Rule, f *Facts, t *tally) error {
	s := scope{finding: &subject{now: now}, image: f}
	for i := range f.Findings {
		found := &f.Findings[i]
		s.finding.Finding, s.component = found, &found.Component
		t.seen++
		denied, err := r.denies(ctx, &s)
		if err != nil {
			return err
		}
		if !denied {
			continue
		}
		h := hit{weight: int(found.Severity), line: findingLine(found), message: r.text(ctx, &s), hint: found.Advice}
		switch x := e.exception(now, f, found); {
		case x == nil:
			t.denied = append(t.denied, h)
		case x.counts(now):
			t.excepted = append(t.excepted, fmt.Sprintf("%s: excepted until %s by %s: %s", h.line, x.Until, x.Owner, x.Reason))
		default:
			h.line += fmt.Sprintf("; the exception by %s expired on %s", x.Owner, x.Until)
			t.denied = append(t.denied, h)
		}
	}
	return nil
}

// exception returns the exception that covers a finding in this repository: one
// that counts if there is one, otherwise one that expired, otherwise nil.
func (e *Environment) exception(now time.Time, f *Facts, found *finding.Finding) *Exception {
	var expired *Exception
	for i := range e.Exceptions {
		x := &e.Exceptions[i]
		if !x.covers(f, found) {
			continue
		}
		if x.counts(now) {
			return x
		}
		expired = x
	}
	return expired
}

func (e *Exception) covers(f *Facts, found *finding.Finding) bool {
	if e.Finding != found.ID && e.Finding != found.Advisory && !slices.Contains(found.Aliases, e.Finding) {
		return false
	}
	if f.Local || e.Component != purlOf(&found.Component) {
		return false
	}
	for _, p := range e.Repositories {
		if p.Match(f.GUN) {
			return true
		}
	}
	return false
}

func (r *Rule) overComponents(ctx context.Context, f *Facts, t *tally) error {
	s := scope{image: f}
	for c := range f.Inventory.All() {
		s.component = c
		t.seen++
		denied, err := r.denies(ctx, &s)
		if err != nil {
			return err
		}
		if denied {
			t.denied = append(t.denied, hit{line: componentLine(s.component), message: r.text(ctx, &s)})
		}
	}
	return nil
}

func (r *Rule) overImage(ctx context.Context, f *Facts, t *tally) error {
	s := scope{image: f}
	t.seen++
	denied, err := r.denies(ctx, &s)
	if denied {
		t.denied = append(t.denied, hit{line: f.Name, message: r.text(ctx, &s)})
	}
	return err
}

// reason sums up.
func (t *tally) reason(r *Rule) verdict.Reason {
	switch {
	case len(t.denied) > 0:
		slices.SortStableFunc(t.denied, func(a, b hit) int { return cmp.Compare(b.weight, a.weight) })
		out := deny(r.ID, verdict.Rule, "%s", t.denied[0].message)
		if more := len(t.denied) - 1; more > 0 {
			out.Message += fmt.Sprintf(" (and %d more)", more)
		}
		out.Hint = t.denied[0].hint
		for _, h := range t.denied {
			out.Evidence = append(out.Evidence, h.line)
		}
		out.Evidence = cut(append(out.Evidence, t.excepted...))
		return out
	case len(t.excepted) > 0:
		return verdict.Reason{
			Rule: r.ID, Outcome: verdict.Excepted, Evidence: cut(t.excepted),
			Message: fmt.Sprintf("would deny, but %d findings are excepted", len(t.excepted)),
		}
	case t.seen == 0:
		return verdict.Reason{Rule: r.ID, Outcome: verdict.NotApplicable, Message: fmt.Sprintf("there is no %s to look at", r.Each)}
	}
	return allow(r.ID, "%d looked at, none denied", t.seen)
}

func cut(lines []string) []string {
	if len(lines) <= maxLines {
		return lines
	}
	return append(lines[:maxLines:maxLines], fmt.Sprintf("and %d more", len(lines)-maxLines))
}
