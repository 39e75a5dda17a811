package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/app"
	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust/envelope"
)

// attested is a statement about an image that was verified.
type attested struct {
	PredicateType string          `json:"predicateType"`
	About         ref.Digest      `json:"about"` // the image, or one platform's manifest
	Roles         []string        `json:"roles"`
	Keys          []string        `json:"keys"`
	Predicate     json.RawMessage `json:"predicate"`
}

// verifyAttestation looks for statements of a type about the image that v
// verified, made by roles that may sign it (those that are demanded, or any),
// and adds them to v. Untrusted if there is none.
func (env *Env) verifyAttestation(ctx context.Context, v *verified, predicateType, platform string, roles []string) error {
	about, err := env.subject(ctx, v, platform)
	if err != nil {
		return err
	}
	var problem error
	if v.Lacks != nil {
		v.Attestations, problem, err = env.foreignAttestations(ctx, v, about, predicateType)
	} else {
		v.Attestations, problem, err = env.ownAttestations(ctx, v, about, predicateType)
	}
	if err != nil {
		return err
	}
	for _, role := range roles {
		if !slices.ContainsFunc(v.Attestations, func(a attested) bool { return slices.Contains(a.Roles, role) }) {
			return unattestedBy(v, predicateType, fmt.Sprintf("role %q does not state", role), problem)
		}
	}
	if len(v.Attestations) == 0 {
		return unattestedBy(v, predicateType, "no role that may sign it states", problem)
	}
	return nil
}

func unattestedBy(v *verified, predicateType, who string, problem error) error {
	err := fault.Errorf(fault.Untrusted, "%s a %q about %q", who, predicateType, v.Image)
	if problem != nil && !fault.Is(problem, fault.NotFound) {
		err = fault.As(fault.KindOf(problem), fmt.Errorf("%w: %w", err, problem))
	}
	return fault.Hint(err, "whoever holds its key runs: plimsoll attest %s --predicate FILE --type %s; about one platform, look with --platform", v.Image, predicateType)
}

// subject returns the descriptor of what statements are looked for about.
func (env *Env) subject(ctx context.Context, v *verified, platform string) (v1.Descriptor, error) {
	if platform == "" {
		return v.served, nil
	}
	m, err := env.Settings.Images(nil).Open(ctx, string(v.GUN)+"@"+string(v.Digest), platform)
	if err != nil {
		return v1.Descriptor{}, err
	}
	return m.Manifest, nil
}

func (env *Env) ownAttestations(ctx context.Context, v *verified, about v1.Descriptor, predicateType string) (found []attested, problem, err error) {
	r := envelope.Reader{Registry: env.Settings.Registry(), Now: time.Now()}
	all, problem := r.Attestations(ctx, v.GUN, about, predicateType, envelope.AnchorsOf(v.speakers))
	if ctx.Err() != nil {
		return nil, nil, fault.As(fault.Unavailable, ctx.Err())
	}
	for i := range all {
		by := all[i].By(v.speakers)
		if len(by) == 0 {
			problem = fault.Errorf(fault.Untrusted, "made by %d keys of a role that demands more", len(all[i].Keys))
			continue
		}
		found = append(found, attested{predicateType, about.Digest, by, all[i].Keys, all[i].Statement.Predicate})
	}
	return found, problem, nil
}

// foreignAttestations takes the word of whoever may sign the image with cosign.
func (env *Env) foreignAttestations(ctx context.Context, v *verified, about v1.Descriptor, predicateType string) (found []attested, problem, err error) {
	r := envelope.Reader{Registry: env.Settings.Registry(), Now: time.Now()}
	for i := range v.accept {
		if v.accept[i].Cosign == nil {
			continue
		}
		all, p := r.Attestations(ctx, v.GUN, about, predicateType, app.Anchors(v.accept[i].Cosign, r.Now))
		if problem == nil {
			problem = p
		}
		for _, a := range all {
			found = append(found, attested{predicateType, about.Digest, []string{v.accept[i].Role}, a.Keys, a.Statement.Predicate})
		}
	}
	return found, problem, ctx.Err()
}

func attestedTable(w io.Writer, v *verified) {
	if len(v.Attestations) == 0 {
		return
	}
	fmt.Fprint(w, "\nSTATED BY\tKEYS\tTYPE\n")
	for _, a := range v.Attestations {
		var keys []string
		for _, k := range a.Keys {
			keys = append(keys, short(k))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", printable(strings.Join(a.Roles, ", ")), strings.Join(keys, ", "), oneLine(a.PredicateType))
	}
}
