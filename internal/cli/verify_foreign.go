package cli

import (
	"context"
	"fmt"
	"io"
	"slices"

	"plimsoll/internal/app"
	"plimsoll/internal/fault"
	"plimsoll/internal/policy"
	"plimsoll/internal/ref"
)

// verifyForeign checks an image whose publisher signs in other formats: what the
// registry serves must be signed by one of the entries, and by those of every
// role that is demanded.
func (env *Env) verifyForeign(ctx context.Context, gun ref.GUN, r ref.Reference, accept []policy.Accept, roles []string) (*verified, *basis, error) {
	registry := env.Settings.Registry()
	served, err := registry.Manifest(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	found, expires := app.Accepter{Registry: registry}.Accepted(ctx, gun, served.Descriptor, accept)
	v := &verified{Image: r.String(), GUN: gun, Digest: served.Digest, Expires: expires, RootKeys: []string{}}
	if err := demanded(found, roles); err != nil {
		return nil, nil, fmt.Errorf("%q: %w", r, err)
	}
	said := map[string]bool{}
	for _, f := range found {
		if f.Err != nil {
			env.warn(fmt.Errorf("not counted as %s: %w", f.Role, f.Err))
			continue
		}
		if v.DecidedBy == "" {
			v.DecidedBy = f.Role
		}
		role := signedRole{Role: f.Role, Digest: v.Digest, Keys: []string{f.Key}, Format: f.Format}
		if f.Signer != f.Key {
			role.Signer = f.Signer
		}
		v.Roles = append(v.Roles, role)
		if !said[f.Format] {
			v.Lacks = append(v.Lacks, policy.Lacks(f.Format)...)
		}
		said[f.Format] = true
	}
	return v, &basis{served: served.Descriptor, accept: accept}, nil
}

// demanded returns the error of signatures that are missing: of every role that
// is demanded or, if none is, of all.
func demanded(found []policy.Foreign, roles []string) error {
	if len(roles) == 0 {
		return missing(found)
	}
	for _, role := range roles {
		var of []policy.Foreign
		for _, f := range found {
			if f.Role == role {
				of = append(of, f)
			}
		}
		if len(of) == 0 {
			return fault.Errorf(fault.Untrusted, "no entry of what its publisher may be accepted by stands for the role %q", role)
		}
		if err := missing(of); err != nil {
			return err
		}
	}
	return nil
}

// missing returns nil if one of found is good. Otherwise it is Untrusted or, if
// one could not be looked at, Unavailable.
func missing(found []policy.Foreign) error {
	if slices.ContainsFunc(found, func(f policy.Foreign) bool { return f.Err == nil }) {
		return nil
	}
	kind, hint := fault.Untrusted, ""
	var all error
	for _, f := range found {
		if k := fault.KindOf(f.Err); k != fault.Untrusted && k != fault.NotFound {
			kind = fault.Unavailable
		}
		if hint == "" {
			hint = fault.HintOf(f.Err)
		}
		if all == nil {
			all = f.Err
		} else {
			all = fmt.Errorf("%w; %w", all, f.Err)
		}
	}
	err := fault.As(kind, all)
	if hint != "" {
		err = fault.Hint(err, "%s", hint)
	}
	return err
}

func foreignTable(w io.Writer, v *verified) {
	until := ""
	if !v.Expires.IsZero() {
		until = ", valid until " + date(v.Expires)
	}
	fmt.Fprintf(w, "%s\n%s%s\n\nROLE\tSIGNED BY\tWITH\n", printable(v.Image), v.Digest, until)
}

func lacksTable(w io.Writer, v *verified) {
	if v.Lacks == nil {
		return
	}
	fmt.Fprintln(w, "\nWhat such a signature does not give:")
	for _, l := range v.Lacks {
		fmt.Fprintf(w, "  %s\n", l)
	}
}
