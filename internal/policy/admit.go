package policy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"plimsoll/internal/profile"
	"plimsoll/internal/verdict"
)

// Caller is who asks, by what a door knows of them. What is empty is not known.
type Caller struct {
	User string // login name on this host
	// Certificate is the whole subject of a verified client certificate, as
	// RFC 4514 writes it: "CN=alice,O=Example".
	Certificate string
	// Root acts for every team of the host that is its own.
	Root bool
}

// String returns the caller's name.
func (c Caller) String() string { return cmp.Or(c.User, c.Certificate) }

// member reports whether c belongs to the team. A subject counts whole: of one
// that has more in it than the policy says, the authority that issued it may have
// meant something else.
func (t *Team) member(c Caller) bool {
	return c.Root || c.User != "" && slices.Contains(t.Members.Users, c.User) ||
		c.Certificate != "" && slices.Contains(t.Members.Certificates, c.Certificate)
}

// TeamsOf returns the names of the teams that the caller belongs to, sorted.
func (d *Document) TeamsOf(c Caller) []string {
	var names []string
	for name, t := range d.Teams {
		if t.member(c) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Unattributed is the name that containers without a team are counted under. No
// team can have it.
const Unattributed = "unattributed"

// Minimal returns what a container gets that belongs to no team, where the host
// allows those: enough to be of use, no network and nothing of the host.
func Minimal() *profile.Profile {
	return &profile.Profile{
		CPUs: 1, Memory: 512 << 20, PIDs: 256, Network: profile.Network{Mode: "none"}, Runtime: "runc",
		Total: profile.Share{CPUs: 2, Memory: 2 << 30, PIDs: 1024},
	}
}

// AdmitUnattributed says whether containers without a team may run on this host,
// and what they get.
func (d *Document) AdmitUnattributed() (verdict.Reason, *profile.Profile) {
	if d.Host != nil && d.Host.Unattributed == "minimal" {
		return allow(ruleTeam, "it has no team, and such containers get the least here"), Minimal()
	}
	r := deny(ruleTeam, verdict.Rule, "nobody with a team asked for this container, and the policy lets none run without")
	r.Hint = "start it through the engine's socket, as a member of a team; or host: {unattributed: minimal}"
	return r, nil
}

// Admit says whether team may do action, one of [Actions], and what each of its
// containers gets. An action of "" asks whether the team may run anything at all,
// whoever asks for it. The profile is nil if the answer is no.
func (d *Document) Admit(team, action string, caller Caller) (verdict.Reason, *profile.Profile) {
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
	case !t.member(caller):
		return deny(ruleTeam, verdict.Rule, "%q is not a member of %s", caller.String(), team), nil
	}
	return allow(ruleTeam, "%s may %s, and %s acts for it", team, action, caller), t.grant()
}

// AdmitAgain says whether team may do action, when nobody asks now: one of its
// members did, and was admitted, when what is asked about began.
func (d *Document) AdmitAgain(team, action string) (verdict.Reason, *profile.Profile) {
	reason, p := d.Admit(team, action, Caller{Root: true})
	if p != nil {
		reason.Message = fmt.Sprintf("%s may %s, and this was asked for by one of its members", team, cmp.Or(action, ActionRun))
	}
	return reason, p
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
