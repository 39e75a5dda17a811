package policy

import (
	"fmt"
	"time"

	"plimsoll/internal/finding"
	"plimsoll/internal/inventory"
	"plimsoll/internal/verdict"
)

// maxLines is how many lines of evidence a reason has.
const maxLines = 20

// judgeScan says whether the whole image was looked at, and whether the
// advisories are fresh enough.
func (e *Environment) judgeScan(now time.Time, f *Facts) verdict.Reason {
	switch {
	case f.ScanErr != nil:
		return Failed(ruleScanned, f.ScanErr)
	case f.Inventory == nil:
		return deny(ruleScanned, verdict.Evidence, "the image was not scanned")
	case !f.Inventory.Complete():
		return unreadable(f.Inventory)
	case e.Scanned == nil:
		return allow(ruleScanned, "all %d layers were read, %d components", len(f.Inventory.Layers), len(f.Inventory.Components))
	case f.MatchErr != nil:
		return Failed(ruleScanned, f.MatchErr)
	case len(f.Inventory.Components) == 0:
		return allow(ruleScanned, "all %d layers were read, no components", len(f.Inventory.Layers))
	}
	return e.Scanned.judgeAge(now, f)
}

func (s *Scanned) judgeAge(now time.Time, f *Facts) verdict.Reason {
	age := now.Sub(f.AsOf)
	var r verdict.Reason
	switch {
	case f.AsOf.IsZero():
		r = deny(ruleScanned, verdict.Evidence, "nobody knows how old the advisories are")
	case age < -futureLimit:
		r = deny(ruleScanned, verdict.Evidence, "the advisories say that they are of %s, which is in the future", f.AsOf.UTC().Format(time.RFC3339))
	case age > s.AdvisoriesWithin.Duration:
		r = deny(ruleScanned, verdict.Evidence, "the advisories are of %s, %s old, and may be %s old at most",
			f.AsOf.UTC().Format(time.RFC3339), short(age), short(s.AdvisoriesWithin.Duration))
		r.Hint = "plimsoll advisories status"
	default:
		return allow(ruleScanned, "all %d layers were read, %d components, %d findings, advisories of %s",
			len(f.Inventory.Layers), len(f.Inventory.Components), len(f.Findings), f.AsOf.UTC().Format(time.RFC3339))
	}
	return r
}

// unreadable denies an image with parts that nobody could look into.
func unreadable(inv *inventory.Inventory) verdict.Reason {
	parts := "1 part"
	if n := len(inv.Unreadable); n != 1 {
		parts = fmt.Sprintf("%d parts", n)
	}
	r := deny(ruleScanned, verdict.Evidence, "%s of the image could not be looked at", parts)
	for i, u := range inv.Unreadable {
		if i == maxLines {
			r.Evidence = append(r.Evidence, fmt.Sprintf("and %d more", len(inv.Unreadable)-i))
			break
		}
		line := u.Reason // of a whole layer, which it names
		if u.Path != "" {
			line = fmt.Sprintf("layer %d %s: %s: %s", u.Index, u.Layer, u.Path, u.Reason)
		}
		if u.Wrong {
			line += " (not the bytes that the digest names)"
		}
		r.Evidence = append(r.Evidence, line)
	}
	return r
}

// short writes a duration in days and hours.
func short(d time.Duration) string {
	d = d.Round(time.Minute)
	if days := d / (24 * time.Hour); days > 0 {
		return fmt.Sprintf("%dd%dh", days, (d%(24*time.Hour))/time.Hour)
	}
	return fmt.Sprintf("%dh%dm", d/time.Hour, (d%time.Hour)/time.Minute)
}

// where says where a component was seen.
func where(c *inventory.Component) string {
	if len(c.Evidence) == 0 {
		return "nowhere"
	}
	return fmt.Sprintf("layer %d, %s", c.Evidence[0].Index, c.Evidence[0].Path)
}

func componentLine(c *inventory.Component) string {
	return fmt.Sprintf("%s %s (%s)", purlOf(c), c.Version, where(c))
}

func findingLine(f *finding.Finding) string {
	fix := "no fix"
	if f.Fixed != "" {
		fix = "fixed in " + f.Fixed
		if !f.FixedSince.IsZero() {
			fix += " since " + f.FixedSince.UTC().Format(time.DateOnly)
		}
	}
	exploited := ""
	if f.Exploited {
		exploited = ", exploited in the wild"
	}
	return fmt.Sprintf("%s %s%s: %s %s, %s (%s)", f.ID, f.Severity, exploited, purlOf(&f.Component), f.Component.Version, fix, where(&f.Component))
}

func purlOf(c *inventory.Component) PURL { return PURL{string(c.Type), c.Namespace, c.Name} }
