package gate

import (
	"context"

	"golang.org/x/sync/errgroup"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/key"
	"plimsoll/internal/policy"
)

// gather finds out about m what environment demands to know, and no more. What
// cannot be found out stays in f as an error; one failure does not end the
// search for the rest.
func (g *Gate) gather(ctx context.Context, environment string, m *image.Image, f *policy.Facts) {
	publisher := g.identify(m, f)
	needs, _ := g.config.Policy.Needs(environment, f.Local)
	var both errgroup.Group
	if needs.Signatures && publisher != nil {
		both.Go(func() error {
			f.SignedErr = g.signatures(ctx, m, f, publisher)
			return nil
		})
	}
	if needs.Scan {
		both.Go(func() error {
			g.contents(ctx, m, needs, f)
			return nil
		})
	}
	_ = both.Wait() // the errors are facts
}

// signatures asks the trust collection. An answer about another repository, or
// none at all, is no evidence.
func (g *Gate) signatures(ctx context.Context, m *image.Image, f *policy.Facts, p *policy.Publisher) error {
	if len(p.Accept) > 0 {
		return g.foreign(ctx, m, f, p)
	}
	s, err := g.config.Truster.Statement(ctx, f.GUN, pins(p), m.Reference)
	if err != nil {
		return err
	}
	if s == nil || s.GUN != f.GUN {
		return fault.Errorf(fault.Untrusted, "the trust data is not about %q", f.GUN)
	}
	f.Roles, f.Signers, f.RoleErrs, f.Expires = s.Roles, s.Signers, s.Errors, s.Expires
	for _, fingerprint := range s.RootKeys {
		f.RootKeys = append(f.RootKeys, g.rootKey(fingerprint, s.Attestations[fingerprint]))
	}
	return nil
}

// foreign looks for signatures in the formats in which the publisher signs.
// There must be an answer for each of them.
func (g *Gate) foreign(ctx context.Context, m *image.Image, f *policy.Facts, p *policy.Publisher) error {
	if g.config.Accepter == nil {
		return fault.Errorf(fault.Unavailable, "signatures of other formats are not verified at this door")
	}
	found, expires := g.config.Accepter.Accepted(ctx, f.GUN, m.Top, p.Accept)
	if len(found) != len(p.Accept) {
		return fault.Errorf(fault.Internal, "%d answers for %d kinds of signature", len(found), len(p.Accept))
	}
	f.SetForeign(found, expires)
	return nil
}

// rootKey says what the key's token proves; nil chain: the root claims nothing.
func (g *Gate) rootKey(fingerprint string, chain [][]byte) policy.RootKey {
	k := policy.RootKey{Fingerprint: fingerprint}
	if chain == nil {
		return k
	}
	a, err := key.VerifyAttestationOf(fingerprint, chain, g.config.Attestation)
	if err != nil {
		k.Problem = err
		return k
	}
	k.Token = &policy.Token{Maker: a.Maker, Serial: a.Serial, Firmware: a.Firmware, Touch: string(a.Touch)}
	return k
}

// contents scans the image and, if advisories are asked for, matches what was
// found. An inventory of something else is no evidence.
func (g *Gate) contents(ctx context.Context, m *image.Image, needs policy.Needs, f *policy.Facts) {
	inv, err := g.config.Scanner.Scan(ctx, m)
	switch {
	case err != nil:
		f.ScanErr = err
		return
	case inv == nil || inv.Manifest != m.Manifest.Digest:
		f.ScanErr = fault.Errorf(fault.Internal, "the inventory is not that of %s", m.Manifest.Digest)
		return
	}
	f.Inventory = inv
	if needs.Advisories {
		f.Findings, f.AsOf, f.MatchErr = g.config.Matcher.Match(ctx, inv)
	}
}
