package gate

import (
	"context"
	"encoding/hex"
	"io"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/policy"
	"plimsoll/internal/verdict"
)

// doorRun is the door through which containers are started.
const doorRun = "run"

// action returns what the policy must allow a team for it to use a door; "" for
// doors that only ask.
func action(door string) string {
	if door == doorRun {
		return doorRun
	}
	return ""
}

// judge gathers all reasons, and the profile that the team would get.
func (g *Gate) judge(ctx context.Context, q Request, a *Answer) {
	d, p := &a.Decision, g.config.Policy
	d.PolicyHash = p.Hash()
	var denial *verdict.Reason
	if d.Environment, denial = p.Place(q.Environment, action(q.Door)); denial != nil {
		d.Reasons = append(d.Reasons, *denial)
	}
	if q.Team != "" || q.Door == doorRun {
		g.admit(q, d)
	}
	facts := &policy.Facts{Name: q.Image}
	if _, known := p.Needs(d.Environment, false); known {
		m, err := g.config.Images.Open(ctx, q.Image, q.Platform)
		if err != nil {
			d.Reasons = append(d.Reasons, notOpened(err))
			d.Time = g.config.Now().UTC()
			return
		}
		a.Image = m
		g.gather(ctx, d.Environment, m, facts)
		d.GUN, d.Digest, d.Manifest = facts.GUN, m.Top.Digest, m.Manifest.Digest
	}
	d.Time = g.config.Now().UTC()
	d.Reasons = append(d.Reasons, p.Judge(ctx, d.Time, d.Environment, facts)...)
}

// lawless is the denial where there is no policy to ask.
func (g *Gate) lawless(d *verdict.Decision) {
	err := g.config.PolicyErr
	if err == nil {
		err = fault.Errorf(fault.Internal, "the gate has no policy")
	}
	r := policy.Failed(policy.ReasonPolicy, err)
	r.Class = verdict.Unavailable
	d.Time, d.Reasons = g.config.Now().UTC(), []verdict.Reason{r}
}

// admit says whether the team may come through the door, and gives it its
// profile if that can be enforced: what is run without it would be run with
// less than the policy says, or with more.
func (g *Gate) admit(q Request, d *verdict.Decision) {
	var reason verdict.Reason
	reason, d.Profile = g.config.Policy.Admit(q.Team, action(q.Door), q.Caller)
	d.Reasons = append(d.Reasons, reason)
	if d.Profile == nil {
		return
	}
	if err := g.config.Enforceable(*d.Profile); err != nil {
		r := policy.Failed(policy.ReasonProfile, err)
		r.Class = verdict.Rule
		d.Reasons = append(d.Reasons, r)
	}
}

// notOpened is the denial of an image that could not be opened. That bytes are
// not what their digest names is evidence against it; everything else means
// that nobody could look.
func notOpened(err error) verdict.Reason {
	r := policy.Failed(policy.ReasonImage, err)
	r.Class = verdict.Unavailable
	if fault.Is(err, fault.Untrusted) {
		r.Class = verdict.Evidence
	}
	return r
}

// identify fills in whose image it is.
func (g *Gate) identify(m *image.Image, f *policy.Facts) *policy.Publisher {
	f.Digest, f.Platform = m.Top.Digest, platform(m)
	if m.Reference.IsZero() {
		f.Local = true
		return nil
	}
	var publisher *policy.Publisher
	f.Publisher, publisher, f.GUN = g.config.Policy.Publisher(m.Reference)
	return publisher
}

// platform returns what the image says that it is for.
func platform(m *image.Image) string {
	p := m.Spec.OS + "/" + m.Spec.Architecture
	if m.Spec.Variant != "" {
		p += "/" + m.Spec.Variant
	}
	return p
}

// conclude allows if there are reasons and none of them is a denial.
func (g *Gate) conclude(d *verdict.Decision) {
	d.Outcome = verdict.Allowed
	if len(d.Reasons) == 0 {
		d.Outcome = verdict.Denied
	}
	for _, r := range d.Reasons {
		if r.Outcome == verdict.Denied {
			d.Outcome = verdict.Denied
		}
	}
	if !d.Allowed() {
		d.Profile = nil
	}
}

// record has the decision written. What cannot be written is denied.
func (g *Gate) record(ctx context.Context, d *verdict.Decision) {
	receipt, err := g.config.Recorder.Record(ctx, d)
	if err == nil {
		d.Receipt = &receipt
		return
	}
	r := policy.Failed(policy.ReasonRecorded, err)
	r.Class, r.Message = verdict.Unavailable, "the decision could not be recorded: "+r.Message
	d.Reasons = append(d.Reasons, r)
	d.Outcome, d.Profile = verdict.Denied, nil
}

func newID(rand io.Reader) (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return "", fault.Errorf(fault.Internal, "make a decision's ID: %w", err)
	}
	return hex.EncodeToString(b[:]), nil
}

// pins returns how a publisher's root is known.
func pins(p *policy.Publisher) Pins {
	return Pins{Threshold: p.RootKeys.Threshold, Keys: p.RootKeys.Keys}
}
