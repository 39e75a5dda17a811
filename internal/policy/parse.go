package policy

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"

	"github.com/opencontainers/go-digest"
)

// Parse reads and checks a document. Its error is Invalid and has one line for
// each mistake: "name:line:column: field: what is wrong".
func Parse(name string, b []byte) (*Document, error) {
	body, err := parseYAML(name, b)
	if err != nil {
		return nil, err
	}
	doc := &Document{hash: digest.FromBytes(b)}
	d := &decoder{name: name, where: map[string]position{}}
	d.decode("", body, reflect.ValueOf(doc).Elem())
	if err := d.err(); err != nil {
		return nil, err
	}
	d.check(doc)
	if err := d.err(); err != nil {
		return nil, err
	}
	return doc, nil
}

var identifier = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// reserved are the names of reasons that are not rules.
var reserved = []string{ruleEnvironment, ruleTeam, ReasonImage, ReasonPolicy, ReasonProfile, ruleLocal, ruleBuilds, ruleSigned, ruleHardware, ruleScanned, ReasonRecorded, ReasonCached, ReasonKept}

func (d *decoder) check(doc *Document) {
	if doc.APIVersion != Version {
		d.fail("apiVersion", "must be %q", Version)
	}
	if doc.Kind != "Policy" {
		d.fail("kind", `must be "Policy"`)
	}
	for _, name := range d.names("publishers", slices.Sorted(maps.Keys(doc.Publishers))) {
		d.checkPublisher(join("publishers", name), doc.Publishers[name])
	}
	d.checkOverlaps(doc.Publishers)
	l := languages{}
	for _, name := range d.names("environments", slices.Sorted(maps.Keys(doc.Environments))) {
		d.checkEnvironment(join("environments", name), doc.Environments[name], l)
	}
	for _, name := range d.names("teams", slices.Sorted(maps.Keys(doc.Teams))) {
		d.checkTeam(join("teams", name), doc.Teams[name])
	}
	if doc.Host != nil {
		d.checkHost(doc)
	}
}

// names returns names, after noting those that cannot be used on a command line.
func (d *decoder) names(path string, names []string) []string {
	for _, n := range names {
		if !identifier.MatchString(n) {
			d.fail(join(path, n), "a name is made of lower-case letters, digits, dot, dash and underscore, at most 63 of them")
		}
	}
	return names
}

func (d *decoder) checkHost(doc *Document) {
	h := doc.Host
	if h.Environment != "" && doc.Environments[h.Environment] == nil {
		d.fail("host.environment", "%q is not among the environments", h.Environment)
	}
	if h.Unattributed != "" && h.Unattributed != "deny" && h.Unattributed != "minimal" {
		d.fail("host.unattributed", "want deny or minimal, got %q", h.Unattributed)
	}
}

func (d *decoder) checkEnvironment(path string, e *Environment, l languages) {
	if e.Signed == nil && e.Scanned == nil && len(e.Rules) == 0 {
		d.fail(path, "demands nothing, so everything would be allowed: say what is demanded (signed, scanned, rules)")
	}
	if e.Local != "" && e.Local != "deny" && e.Local != "allow" {
		d.fail(join(path, "local"), "want deny or allow, got %q", e.Local)
	}
	if e.Builds != nil && e.Builds.From != "allowed" {
		d.fail(join(path, "builds.from"), "can only be allowed: leave builds out if nothing is built here")
	}
	if e.Signed != nil {
		d.checkSigned(join(path, "signed"), e.Signed)
	}
	if e.Scanned != nil && e.Scanned.AdvisoriesWithin.Duration <= 0 {
		d.fail(join(path, "scanned.advisoriesWithin"), "say how old advisories may be, for instance 48h")
	}
	if len(e.Rules) > maxRules || len(e.Exceptions) > maxExceptions {
		d.fail(path, "more than %d rules or %d exceptions", maxRules, maxExceptions)
		return
	}
	seen := map[string]bool{}
	for i, r := range e.Rules {
		field := fmt.Sprintf("%s.rules[%d]", path, i)
		d.checkRule(field, e, r, seen)
		d.compileRule(field, r, l)
	}
	for i := range e.Exceptions {
		d.checkException(fmt.Sprintf("%s.exceptions[%d]", path, i), &e.Exceptions[i])
	}
}

// Bounds on one environment.
const (
	maxRules      = 100
	maxExceptions = 2000
)

func (d *decoder) checkSigned(path string, s *Signed) {
	if len(s.Roles) == 0 {
		d.fail(join(path, "roles"), "name the roles that must have signed, for instance [targets]")
		return
	}
	for i, r := range s.Roles {
		if r == "" || slices.Index(s.Roles, r) != i {
			d.fail(fmt.Sprintf("%s.roles[%d]", path, i), "is empty or stands twice")
		}
	}
	if s.Threshold == 0 && d.where[join(path, "threshold")] == (position{}) {
		s.Threshold = len(s.Roles)
	}
	if s.Threshold < 1 || s.Threshold > len(s.Roles) {
		d.fail(join(path, "threshold"), "must be between 1 and the number of roles, %d", len(s.Roles))
	}
}

func (d *decoder) checkRule(path string, e *Environment, r *Rule, seen map[string]bool) {
	switch {
	case !identifier.MatchString(r.ID):
		d.fail(join(path, "id"), "a rule needs an id of lower-case letters, digits, dot, dash and underscore")
	case slices.Contains(reserved, r.ID):
		d.fail(join(path, "id"), "%q is the name of a demand that is not a rule", r.ID)
	case seen[r.ID]:
		d.fail(join(path, "id"), "%q is the id of an earlier rule", r.ID)
	}
	seen[r.ID] = true
	if r.Each == eachFinding && e.Scanned == nil {
		d.fail(join(path, "each"), "findings come from advisories: say in scanned.advisoriesWithin how old they may be")
	}
	if len(r.Message) > maxMessage {
		d.fail(join(path, "message"), "longer than %d bytes", maxMessage)
	}
}

func (d *decoder) checkException(path string, e *Exception) {
	for name, missing := range map[string]bool{
		"finding": e.Finding == "", "component": e.Component == PURL{}, "repositories": len(e.Repositories) == 0,
		"until": e.Until.IsZero(), "reason": e.Reason == "", "owner": e.Owner == "",
	} {
		if missing {
			d.fail(join(path, name), "an exception needs finding, component, repositories, until, reason and owner")
		}
	}
	for i, p := range e.Repositories {
		d.checkPattern(fmt.Sprintf("%s.repositories[%d]", path, i), p)
	}
}
