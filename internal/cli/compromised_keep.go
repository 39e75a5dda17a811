package cli

import (
	"context"
	"slices"
	"strings"

	"plimsoll/internal/app"
	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
)

// sift says what stays of the roles that the key alone spoke for: what a person
// looked at, read once more. The rest it notes in v.
func (env *Env) sift(ctx context.Context, v *exposureState, f compromisedFlags) ([]trust.Sift, error) {
	var all []trust.Sift
	used := map[string]bool{}
	dropped := map[string]bool{} // roles that targets, which comes first, does not delegate to any more
	for _, s := range v.Signed {
		alone := slices.ContainsFunc(v.Roles, func(r exposedState) bool { return r.Role == s.Role && r.Alone && r.LastRoot == 0 })
		if !alone || (s.Names == nil && s.Delegations == nil) {
			continue
		}
		one, gone := trust.Sift{Role: s.Role}, againState{Role: s.Role}
		for _, n := range s.Names {
			switch {
			case dropped[s.Role]:
				gone.Names = append(gone.Names, n.Name)
			case f.keeps(n):
				m, err := env.readAgain(ctx, v.GUN, n)
				if err != nil {
					return nil, err
				}
				one.Images = append(one.Images, m)
				used[n.Name], used[n.target()] = true, true
			case !f.keepsDigest(s.Names, n):
				gone.Names = append(gone.Names, n.Name)
			}
		}
		for _, role := range s.Delegations {
			if slices.Contains(f.keepRoles, role) {
				one.Roles = append(one.Roles, role)
			} else {
				gone.Names, dropped[role] = append(gone.Names, role), s.Role == trust.RoleTargets
			}
		}
		if !dropped[s.Role] {
			all = append(all, one)
		}
		if len(gone.Names) > 0 {
			v.Again = append(v.Again, gone)
		}
	}
	for _, name := range f.keep {
		if !used[name] {
			return nil, fault.Errorf(fault.Usage, "--keep %q: no role that the key alone speaks for names it", name)
		}
	}
	return all, nil
}

// keeps reports whether a person looked at n.
func (f *compromisedFlags) keeps(n nameState) bool {
	return slices.Contains(f.keep, n.Name) || slices.Contains(f.keep, n.target())
}

// keepsDigest reports whether n is the digest of a tag that a person looked at.
func (f *compromisedFlags) keepsDigest(names []nameState, n nameState) bool {
	return n.target() != "" && slices.ContainsFunc(names, func(o nameState) bool { return o.Digest == n.target() && f.keeps(o) })
}

// target returns the digest that a target's name stands for; "" if it is a tag.
func (n nameState) target() string {
	if hex, ok := strings.CutPrefix(n.Name, "sha256/"); ok {
		return "sha256:" + hex
	}
	return ""
}

// readAgain reads an image that was signed, every byte of it.
func (env *Env) readAgain(ctx context.Context, gun ref.GUN, n nameState) (trust.Image, error) {
	digest, err := ref.ParseDigest(n.Digest)
	if err != nil {
		return trust.Image{}, err
	}
	r := gun.Reference().WithDigest(digest)
	progress := env.startProgress("reading " + r.String())
	images, err := app.NewExaminer(env.Settings.Images(progress.add)).Examine(ctx, r)
	progress.finish()
	if err != nil {
		return trust.Image{}, err
	}
	if n.target() == "" {
		images[0].Tag = n.Name
	}
	return images[0], nil
}
