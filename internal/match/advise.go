package match

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"plimsoll/internal/advisory"
	"plimsoll/internal/finding"
	"plimsoll/internal/inventory"
)

// word is a name or version that may stand in a command line that a person
// copies. Names come out of the image; one that is no word gets no command.
var word = regexp.MustCompile(`^[A-Za-z0-9@][A-Za-z0-9@._+~:/-]*$`)

// binaries lists the installed packages of every source package.
func binaries(inv *inventory.Inventory) map[string][]string {
	of := map[string][]string{}
	for i := range inv.Components {
		c := &inv.Components[i]
		if c.Kind == inventory.OS || c.Type == inventory.Deb || c.Type == inventory.Apk || c.Type == inventory.RPM {
			source := distroTarget(c, inv.Distro).name
			of[source] = append(of[source], c.Name)
		}
	}
	for source, names := range of {
		slices.Sort(names)
		of[source] = slices.Compact(names)
	}
	return of
}

// adviseOnce makes the advice of all findings of one component the same: the
// version that ends them all, rather than a step on the way to it.
func (r *run) adviseOnce(c *inventory.Component, t target, order advisory.Order, findings []finding.Finding) {
	highest := ""
	for i := range findings {
		f := findings[i].Fixed
		if f == "" {
			continue
		}
		if above, err := order(f, highest); highest == "" || (err == nil && above > 0) {
			highest = f
		}
	}
	for i := range findings {
		if findings[i].Fixed != "" {
			findings[i].Advice = r.advise(c, t, highest, "", false)
		}
	}
}

// written returns a version as its ecosystem writes it: OSV leaves out the v of
// Go modules.
func written(t target, version string) string {
	if t.ecosystem == advisory.Go && t.name != "stdlib" && !strings.HasPrefix(version, "v") {
		return "v" + version
	}
	return version
}

// advise says in one sentence what to do about a finding.
func (r *run) advise(c *inventory.Component, t target, fixed, note string, unclear bool) string {
	if unclear {
		return fmt.Sprintf("the installed version %q cannot be compared with the advisory: look at it, and replace %s by a released version", c.Version, t.name)
	}
	if fixed == "" {
		if note == "" {
			note = "replace or remove " + t.name + ", or record why it does no harm"
		}
		return "no fix yet: " + note
	}
	switch c.Type {
	case inventory.Deb:
		return r.upgrade("upgrade "+t.name+" to "+fixed, "apt-get install --only-upgrade", t.name)
	case inventory.Apk:
		return r.upgrade("upgrade "+t.name+" to "+fixed, "apk add --upgrade", t.name)
	case inventory.RPM:
		return r.upgrade("upgrade "+t.name+" to "+fixed, "dnf upgrade", t.name)
	case inventory.Golang:
		return adviseGo(c, t, fixed)
	case inventory.NPM:
		return withCommand("npm: bump "+t.name+" to "+fixed, "npm install "+t.name+"@"+fixed, t.name, fixed)
	case inventory.PyPI:
		return withCommand("pip: bump "+t.name+" to "+fixed, "pip install '"+t.name+">="+fixed+"'", t.name, fixed)
	default:
		return "upgrade " + t.name + " to " + fixed
	}
}

// upgrade appends the installed packages of a source to a package manager's
// command.
func (r *run) upgrade(sentence, command, source string) string {
	names := r.binaries[source]
	if len(names) == 0 {
		return sentence
	}
	return withCommand(sentence, command+" "+strings.Join(names, " "), names...)
}

func adviseGo(c *inventory.Component, t target, fixed string) string {
	switch {
	case t.name == "stdlib":
		return "rebuild with Go " + strings.TrimSuffix(fixed, "-0") + " or later"
	case c.Kind == inventory.Application:
		return "upgrade " + t.name + " to " + fixed + " or later"
	}
	return "rebuild with " + t.name + " " + fixed + " or later"
}

// withCommand appends a command that names only words.
func withCommand(sentence, command string, words ...string) string {
	for _, w := range words {
		if !word.MatchString(w) {
			return sentence
		}
	}
	return sentence + ": " + command
}
