package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"plimsoll/internal/advisory"
	"plimsoll/internal/finding"
	"plimsoll/internal/inventory"
)

// findingsTable writes the findings, one line for all packages of one source,
// then what to do, then the counts.
func (env *Env) findingsTable(w io.Writer, r *scanResult) {
	if len(r.Findings) > 0 {
		fmt.Fprintln(w, "SEVERITY\tID\tCOMPONENT\tINSTALLED\tFIXED\tLAYER")
	}
	for _, g := range grouped(r.Findings, sameHole) {
		f := g[0]
		severity := f.Severity.String()
		if f.Exploited {
			severity += " KEV"
		}
		component := componentName(&f.Component)
		if len(g) > 1 {
			component += fmt.Sprintf(" +%d", len(g)-1)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", severity, oneLine(f.ID), oneLine(component), cmp.Or(oneLine(f.Component.Version), "unknown"), cmp.Or(oneLine(f.Fixed), "-"), layer(&f.Component))
	}
	if lines := adviceLines(r.Findings); len(lines) > 0 {
		fmt.Fprintf(w, "\nWhat to do:\n  %s\n\n", strings.Join(lines, "\n  "))
	}
	fmt.Fprintln(w, countsLine(r))
	if r.Unspoken > 0 {
		fmt.Fprintf(w, "%d components that no pack of advisories speaks of, such as native code: see plimsoll sbom\n", r.Unspoken)
	}
	secretsTable(w, r.Secrets)
	if r.Accounts.Files > 0 {
		fmt.Fprintln(w, accountsLine(&r.Accounts))
	}
	if !r.AsOf.IsZero() {
		fmt.Fprintf(w, "advisories as of %s (%s)\n", r.AsOf.Format(time.DateOnly), age(time.Since(r.AsOf)))
	}
}

// grouped gathers what has the same key, in the order of the first of each.
func grouped(findings []finding.Finding, key func(*finding.Finding) string) [][]*finding.Finding {
	var groups [][]*finding.Finding
	at := map[string]int{}
	for i := range findings {
		k := key(&findings[i])
		n, ok := at[k]
		if !ok {
			n = len(groups)
			at[k] = n
			groups = append(groups, nil)
		}
		groups[n] = append(groups[n], &findings[i])
	}
	return groups
}

// sameHole is equal for the packages of one source that have one hole, in one
// layer.
func sameHole(f *finding.Finding) string {
	c := &f.Component
	if c.SourceName == "" {
		return fmt.Sprintf("%q %q %q %q", f.ID, componentName(c), c.Version, layer(c))
	}
	return fmt.Sprintf("%q %q %q %q %q", f.ID, c.SourceName, c.SourceVersion, c.Version, layer(c))
}

// sameCure is equal for findings that one upgrade ends.
func sameCure(f *finding.Finding) string {
	c := &f.Component
	if f.Fixed == "" {
		return f.Source + " " + f.Advice
	}
	if f.Component.SourceName != "" {
		return fmt.Sprintf("%q %q %q", f.Source, c.SourceName, c.SourceVersion)
	}
	return fmt.Sprintf("%q %q %q", f.Source, componentName(c), c.Version)
}

// adviceLines returns what to do, each upgrade once, to the highest version that
// any of its findings asks for.
func adviceLines(findings []finding.Finding) []string {
	var fixes, others []string
	for _, g := range grouped(findings, sameCure) {
		best := slices.MaxFunc(g, compareFixed)
		line := fmt.Sprintf("%s (%s)", oneLine(best.Advice), findingsOf(len(g)))
		if best.Fixed == "" {
			others = append(others, line)
			continue
		}
		fixes = append(fixes, line)
	}
	return append(fixes, others...)
}

func findingsOf(n int) string {
	if n == 1 {
		return "1 finding"
	}
	return fmt.Sprintf("%d findings", n)
}

// compareFixed compares the fixed versions of two findings of one package.
func compareFixed(a, b *finding.Finding) int {
	order, err := advisory.OrderOf(advisory.Ecosystem(a.Source))
	if err != nil {
		return 0
	}
	c, err := order(a.Fixed, b.Fixed)
	if err != nil {
		return 0
	}
	return c
}

// componentName is the name as its ecosystem writes it.
func componentName(c *inventory.Component) string {
	if c.Namespace == "" || c.Kind == inventory.OS {
		return c.Name
	}
	return c.Namespace + "/" + c.Name
}

// layer names the layer that brought a component: its position and the start of
// its digest.
func layer(c *inventory.Component) string {
	if len(c.Evidence) == 0 {
		return "-"
	}
	e := c.Evidence[0]
	digest := e.Layer.String()
	if i := strings.IndexByte(digest, ':'); i >= 0 {
		digest = digest[i+1:]
	}
	return fmt.Sprintf("%d %s", e.Index, digest[:min(8, len(digest))])
}
