package policy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"plimsoll/internal/profile"
	"plimsoll/internal/verdict"
)

// Admit says whether team may do action, one of "run", "exec" and "logs", and
// what each of its containers gets. caller is the login name of whoever asks;
// root acts for every team of the host that is its own. An action of "" asks
// whether the team may run anything at all, whoever asks for it. The profile is
// nil if the answer is no.
func (d *Document) Admit(team, action, caller string) (verdict.Reason, *profile.Profile) {
	t := d.Teams[team]
	switch {
	case t == nil:
		r := deny(ruleTeam, verdict.Rule, "the policy has no team %q", team)
		if names := slices.Sorted(maps.Keys(d.Teams)); len(names) > 0 {
			r.Hint = fmt.Sprintf("the policy has the teams %q: name one with --team", names)
		}
		return r, nil
	case !slices.Contains(t.May, cmp.Or(action, "run")):
		return deny(ruleTeam, verdict.Rule, "%s may not %s", team, cmp.Or(action, "run")), nil
	case action == "":
		return allow(ruleTeam, "%s may run images, if one of its members asks", team), t.grant()
	case caller != "root" && !slices.Contains(t.Members.Users, caller):
		return deny(ruleTeam, verdict.Rule, "%q is not a member of %s", caller, team), nil
	}
	return allow(ruleTeam, "%s may %s, and %s acts for it", team, action, caller), t.grant()
}

// Grant returns what each of the team's containers gets, or nil if there is no
// such team.
func (d *Document) Grant(team string) *profile.Profile {
	if t := d.Teams[team]; t != nil {
		return t.grant()
	}
	return nil
}

// grant returns a copy of what the team's containers get.
func (t *Team) grant() *profile.Profile {
	p := *t.granted
	p.Network.Publish, p.Network.Egress = slices.Clone(p.Network.Publish), slices.Clone(p.Network.Egress)
	p.Capabilities, p.Mounts, p.Devices = slices.Clone(p.Capabilities), slices.Clone(p.Mounts), slices.Clone(p.Devices)
	return &p
}

// Place returns the environment that a request is judged in. To run something,
// a host that has an environment takes no other; elsewhere the host's is what
// counts if none was named. The reason is nil unless the request is denied.
func (d *Document) Place(asked, action string) (environment string, denial *verdict.Reason) {
	own := ""
	if d.Host != nil {
		own = d.Host.Environment
	}
	switch {
	case asked == "":
		return own, nil
	case action != "" && own != "" && asked != own:
		r := deny(ruleEnvironment, verdict.Rule, "containers on this host run in the environment %q, not in %q", own, asked)
		return asked, &r
	}
	return asked, nil
}
