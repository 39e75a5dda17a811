package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Explain returns in words, one sentence each, what environment demands at now,
// or nil if there is no such environment.
func (d *Document) Explain(environment string, now time.Time) []string {
	e := d.Environments[environment]
	if e == nil {
		return nil
	}
	var out []string
	if s := e.Signed; s != nil {
		out = append(out, fmt.Sprintf("%d of the roles %s must have signed the digest that is to run, with the keys of the publisher who speaks for its repository.", s.Threshold, strings.Join(s.Roles, ", ")))
	}
	if e.Signed != nil {
		out = append(out, d.explainAccept()...)
	}
	if e.Local == "allow" {
		out = append(out, "Images that no registry named are allowed; nobody needs to have signed them.")
	} else {
		out = append(out, "Images that no registry named are denied.")
	}
	if e.Builds != nil {
		out = append(out, "Steps of builds may run on what was built here, if the layers at the bottom are those of an image that is allowed.")
	}
	if needs, _ := d.Needs(environment, false); needs.Scan {
		out = append(out, "Every byte of every layer must have been read.")
	}
	if s := e.Scanned; s != nil {
		out = append(out, fmt.Sprintf("The advisories that it was compared with must not be older than %s.", short(s.AdvisoriesWithin.Duration)))
	}
	for _, r := range e.Rules {
		out = append(out, r.explain()...)
	}
	for i := range e.Exceptions {
		out = append(out, e.Exceptions[i].explain(now))
	}
	return out
}

// explainAccept says which publishers are believed without a root.
func (d *Document) explainAccept() []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(d.Publishers)) {
		for i := range d.Publishers[name].Accept {
			a := &d.Publishers[name].Accept[i]
			out = append(out, fmt.Sprintf("For images of %s, a %s signature stands for the role %s; it says nothing about freshness, rollback, the tag or the repository.", name, a.Format(), a.Role))
		}
	}
	return out
}

func (r *Rule) explain() []string {
	subject := "It is denied for each " + r.Each + " for which"
	if r.Each == eachImage {
		subject = "It is denied if"
	}
	out := []string{fmt.Sprintf("Rule %s: %s %s.", r.ID, subject, strings.Join(strings.Fields(r.Deny), " "))}
	if strings.Contains(r.Deny, "finding.severity") && !strings.Contains(r.Deny, "severity.unknown") {
		out = append(out, fmt.Sprintf("Rule %s does not speak of severity.unknown: findings that nobody has rated count as less than low.", r.ID))
	}
	return out
}

func (e *Exception) explain(now time.Time) string {
	var repositories []string
	for _, p := range e.Repositories {
		repositories = append(repositories, string(p))
	}
	until := fmt.Sprintf("until %s", e.Until)
	if !e.counts(now) {
		until = fmt.Sprintf("EXPIRED on %s, so it does not count", e.Until)
	}
	return fmt.Sprintf("Exception by %s: %s in %s of %s may pass, %s: %s.", e.Owner, e.Finding, e.Component, strings.Join(repositories, ", "), until, e.Reason)
}
