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

// stated is a statement about an image that was verified.
type stated struct {
	PredicateType string          `json:"predicateType"`
	About         ref.Digest      `json:"about"` // the image, or one platform's manifest
	Roles         []string        `json:"roles"`
	Keys          []string        `json:"keys"`
	Predicate     json.RawMessage `json:"predicate"`
}

// statementWanted is what a person wants to see stated: about which platform ("" for
// the whole), and by which roles (by any, if none is named).
type statementWanted struct {
	predicateType, platform string
	roles                   []string
}

// verifyAttestation looks for statements about the image that v verified, made by
// roles that may sign it, and adds them to v. Untrusted if there is none.
func (env *Env) verifyAttestation(ctx context.Context, v *verified, b *basis, want statementWanted) error {
	about := b.served
	if want.platform != "" {
		m, err := env.Settings.Images(nil).Open(ctx, string(v.GUN)+"@"+string(v.Digest), want.platform)
		if err != nil {
			return err
		}
		about = m.Manifest
	}
	r := envelope.Reader{Registry: env.Settings.Registry(), Now: time.Now()}
	find := b.ownAttestations
	if b.accept != nil {
		find = b.foreignAttestations
	}
	var problem error
	v.Attestations, problem = find(ctx, &r, v.GUN, about, want.predicateType)
	if ctx.Err() != nil {
		return fault.As(fault.Unavailable, ctx.Err())
	}
	for _, role := range want.roles {
		if !slices.ContainsFunc(v.Attestations, func(a stated) bool { return slices.Contains(a.Roles, role) }) {
			return unattestedBy(v, want.predicateType, fmt.Sprintf("role %q does not state", role), problem)
		}
	}
	if len(v.Attestations) == 0 {
		return unattestedBy(v, want.predicateType, "no role that may sign it states", problem)
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

// ownAttestations returns the statements that roles of the trust data make; the
// error says what was wrong with others.
func (b *basis) ownAttestations(ctx context.Context, r *envelope.Reader, gun ref.GUN, about v1.Descriptor, predicateType string) ([]stated, error) {
	var found []stated
	all, problem := r.Attestations(ctx, gun, about, predicateType, envelope.AnchorsOf(b.speakers))
	for i := range all {
		by := all[i].By(b.speakers)
		if len(by) == 0 {
			problem = fault.Errorf(fault.Untrusted, "made by %d keys of a role that demands more", len(all[i].Keys))
			continue
		}
		found = append(found, stated{predicateType, about.Digest, by, all[i].Keys, all[i].Statement.Predicate})
	}
	return found, problem
}

// foreignAttestations takes the word of whoever may sign the image with cosign.
func (b *basis) foreignAttestations(ctx context.Context, r *envelope.Reader, gun ref.GUN, about v1.Descriptor, predicateType string) (found []stated, problem error) {
	for i := range b.accept {
		if b.accept[i].Cosign == nil {
			continue
		}
		all, p := r.Attestations(ctx, gun, about, predicateType, app.Anchors(b.accept[i].Cosign, r.Now))
		if problem == nil {
			problem = p
		}
		for _, a := range all {
			found = append(found, stated{predicateType, about.Digest, []string{b.accept[i].Role}, a.Keys, a.Statement.Predicate})
		}
	}
	return found, problem
}

func statedTable(w io.Writer, v *verified) {
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
