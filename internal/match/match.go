// Package match says what is wrong with the components of an inventory: it asks
// advisories about each, by ecosystem and name, and makes findings of those
// whose ranges cover the installed version.
//
// Silence must mean "nothing is known to be wrong", never "nobody looked": a
// component whose ecosystem or distribution no pack covers makes the answer
// incomplete, which is an Untrusted error beside the findings that are known;
// and a version that cannot be compared is a finding.
//
// Packages of a distribution are matched by their source package and its
// version, because advisories of distributions speak of sources. A component
// that a distribution's package brought (its Owner is set) is not matched in its
// language's ecosystem: distributions mend holes without changing that version.
package match

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"plimsoll/internal/advisory"
	"plimsoll/internal/fault"
	"plimsoll/internal/finding"
	"plimsoll/internal/inventory"
)

// Advisories is what is known. Both methods return a NotFound error if nothing
// is known about the ecosystem as a whole. They are asked about overlays
// ([advisory.Exploited], [advisory.Severities]) as about ecosystems.
type Advisories interface {
	// Affecting returns the records that speak of a package, each with what it
	// says about that package only.
	Affecting(ctx context.Context, e advisory.Ecosystem, name string) ([]*advisory.Record, error)
	// AsOf returns of which date the oldest knowledge about e is.
	AsOf(e advisory.Ecosystem) (time.Time, error)
}

// Matcher matches inventories. It may be used concurrently.
type Matcher struct{ advisories Advisories }

// New returns a matcher that asks a.
func New(a Advisories) *Matcher { return &Matcher{advisories: a} }

// Match returns the findings, worst first, and the date of the oldest pack that
// was asked, the zero time if none was. The overlay of severities does not count,
// that of exploited ones counts if there are findings. If packs are missing for a part of the
// inventory, the findings are those of the rest and the error, of kind
// Untrusted, names the ecosystems. With any other error there are no findings.
func (m *Matcher) Match(ctx context.Context, inv *inventory.Inventory) ([]finding.Finding, time.Time, error) {
	r := run{advisories: m.advisories, inv: inv, binaries: binaries(inv), known: map[string][]*advisory.Record{}, uncovered: map[advisory.Ecosystem]int{}}
	findings := []finding.Finding{}
	for i := range inv.Components {
		of, err := r.component(ctx, &inv.Components[i])
		if err != nil {
			return nil, time.Time{}, err
		}
		findings = append(findings, of...)
	}
	slices.SortStableFunc(findings, worse)
	return findings, r.asOf, r.incomplete()
}

// worse orders findings for a person who begins at the top.
func worse(a, b finding.Finding) int {
	return cmp.Or(
		cmp.Compare(b.Severity, a.Severity),
		compareBool(b.Exploited, a.Exploited),
		cmp.Compare(b.Score, a.Score),
		strings.Compare(a.Component.Name, b.Component.Name),
		strings.Compare(a.Component.Version, b.Component.Version),
		strings.Compare(b.ID, a.ID), // newest CVE first
	)
}

func compareBool(a, b bool) int {
	if a == b {
		return 0
	} else if a {
		return 1
	}
	return -1
}

// run is the state of one Match.
type run struct {
	advisories Advisories
	inv        *inventory.Inventory
	binaries   map[string][]string // source package → its installed packages
	known      map[string][]*advisory.Record
	uncovered  map[advisory.Ecosystem]int // components
	asOf       time.Time
}

// component returns the findings of one component.
func (r *run) component(ctx context.Context, c *inventory.Component) ([]finding.Finding, error) {
	t, ok := targetOf(c, r.inv.Distro)
	if !ok {
		return nil, nil
	}
	order, err := advisory.OrderOf(t.ecosystem)
	if err != nil {
		r.uncovered[t.ecosystem]++
		return nil, nil //nolint:nilerr // told at the end, for all components at once
	}
	records, err := r.ask(ctx, t.ecosystem, t.name)
	if err != nil {
		return nil, err
	}
	var hits []hit
	for _, record := range records {
		if h, ok := evaluate(order, record, t.version); ok {
			hits = append(hits, h)
		}
	}
	var findings []finding.Finding
	for _, group := range merge(hits) {
		f, err := r.finding(ctx, c, t, order, group)
		if err != nil {
			return nil, err
		}
		findings = append(findings, f)
	}
	r.adviseOnce(c, t, order, findings)
	return findings, nil
}

// ask returns the records that speak of a package, and counts the component as
// uncovered if nothing is known about its ecosystem.
func (r *run) ask(ctx context.Context, e advisory.Ecosystem, name string) ([]*advisory.Record, error) {
	key := string(e) + "\n" + name
	if records, ok := r.known[key]; ok {
		return records, nil
	}
	records, err := r.advisories.Affecting(ctx, e, name)
	if fault.Is(err, fault.NotFound) {
		if e != advisory.Severities {
			r.uncovered[e]++
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r.known[key] = records
	if e == advisory.Severities { // an old one leaves severities unknown, which shows
		return records, nil
	}
	asOf, err := r.advisories.AsOf(e)
	if err != nil {
		return nil, err
	}
	if r.asOf.IsZero() || asOf.Before(r.asOf) {
		r.asOf = asOf
	}
	return records, nil
}

// incomplete returns an error if something was not covered.
func (r *run) incomplete() error {
	if len(r.uncovered) == 0 {
		return nil
	}
	var parts []string
	for _, e := range slices.Sorted(maps.Keys(r.uncovered)) {
		parts = append(parts, fmt.Sprintf("%q (asked %d times)", string(e), r.uncovered[e]))
	}
	err := fault.Errorf(fault.Untrusted, "there are no advisories for %s, so what is known is not everything", strings.Join(parts, ", "))
	return fault.Hint(err, "plimsoll advisories status, then plimsoll advisories build DIR with a source for what is missing")
}
