package app

import (
	"context"
	"slices"

	"plimsoll/internal/fault"
	"plimsoll/internal/trust"
)

// Sign names the images in role's metadata, as [trust.Repository.Sign] does. A
// key that a person named for it and that has no part in it is an error: after a
// rotation another, remembered key would sign in its place, unsaid.
func (p *Publisher) Sign(ctx context.Context, role string, images ...trust.Image) error {
	if len(p.named) > 0 {
		status, err := p.trust.status(ctx, p.Record.GUN, false)
		if err != nil {
			return err
		}
		for _, k := range p.named {
			if !speaks(status, k.Fingerprint, role, trust.RoleSnapshot, trust.RoleTimestamp) {
				err := fault.Errorf(fault.Unavailable, "key %s, which --key names, does not speak for role %q", k.Fingerprint, role)
				return fault.Hint(err, "plimsoll trust status %s shows the keys that do", p.Record.GUN)
			}
		}
	}
	return p.Repository.Sign(ctx, role, images...)
}

// speaks reports whether one of the roles has the key.
func speaks(s *trust.Status, fingerprint string, roles ...string) bool {
	has := func(k trust.RoleKey) bool { return k.Fingerprint == fingerprint }
	return slices.ContainsFunc(s.Roles, func(r trust.RoleStatus) bool {
		return slices.Contains(roles, r.Role) && slices.ContainsFunc(r.Keys, has)
	})
}
