package gate

import (
	"cmp"
	"context"
	"encoding/hex"
	"io"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/policy"
	"plimsoll/internal/profile"
	"plimsoll/internal/ref"
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
	does := cmp.Or(q.Action, action(q.Door))
	if d.Environment, denial = p.Place(q.Environment, does); denial != nil {
		d.Reasons = append(d.Reasons, *denial)
	}
	if q.Team != "" || does != "" || q.Unattributed {
		g.admit(q, d)
	}
	facts := &policy.Facts{Name: q.Image}
	if _, known := p.Needs(d.Environment, false); known {
		m, err := g.open(ctx, q)
		if err != nil {
			d.Reasons = append(d.Reasons, notOpened(err))
			d.Time = g.config.Now().UTC()
			return
		}
		a.Image = m
		g.gather(ctx, d.Environment, m, facts)
		d.GUN, d.Digest, d.Manifest = facts.GUN, m.Top.Digest, m.Manifest.Digest
		if denial := holds(q.Holds, m); denial != nil {
			d.Reasons = append(d.Reasons, *denial)
		}
	}
	d.Time = g.config.Now().UTC()
	a.Until = p.Until(d.Environment, d.Time, facts)
	d.Reasons = append(d.Reasons, p.Judge(ctx, d.Time, d.Environment, facts)...)
}

// open returns the image that is asked about.
func (g *Gate) open(ctx context.Context, q Request) (*image.Image, error) {
	if q.Held != nil {
		return q.Held, nil
	}
	return g.config.Images.Open(ctx, q.Image, q.Platform)
}

// holds denies an image that is not the one that would run.
func holds(engine ref.Digest, m *image.Image) *verdict.Reason {
	if engine == "" || engine == m.Config.Digest || engine == m.Manifest.Digest || engine == m.Top.Digest {
		return nil
	}
	err := fault.Errorf(fault.Untrusted, "%s is the image %s, and the engine holds %s", m.Name, m.Config.Digest, engine)
	r := policy.Failed(policy.ReasonImage, fault.Hint(err, "pull it again; or name the image that is meant by its digest"))
	return &r
}

// lawless is the denial where there is no policy to ask.
func (g *Gate) lawless(d *verdict.Decision) {
	d.Time, d.Reasons = g.config.Now().UTC(), []verdict.Reason{g.lawlessness()}
}

func (g *Gate) lawlessness() verdict.Reason {
	err := g.config.PolicyErr
	if err == nil {
		err = fault.Errorf(fault.Internal, "the gate has no policy")
	}
	r := policy.Failed(policy.ReasonPolicy, err)
	r.Class = verdict.Unavailable
	return r
}

// admit says whether the team may come through the door, and gives it its
// profile if that can be enforced: what is run without it would be run with
// less than the policy says, or with more.
func (g *Gate) admit(q Request, d *verdict.Decision) {
	var reasons []verdict.Reason
	reasons, d.Profile = g.Admit(q)
	d.Reasons = append(d.Reasons, reasons...)
}

// Admit is the part of Decide that is not about the image: whether the team may
// do what is asked, and what it gets. The profile is nil if nothing. Nothing is
// recorded.
func (g *Gate) Admit(q Request) ([]verdict.Reason, *profile.Profile) {
	p, does := g.config.Policy, cmp.Or(q.Action, action(q.Door))
	if p == nil {
		return []verdict.Reason{g.lawlessness()}, nil
	}
	member := q.Member
	if member == (policy.Caller{}) {
		member = policy.Caller{User: q.Caller, Root: q.Caller == "root"}
	}
	var reason verdict.Reason
	var grant *profile.Profile
	switch {
	case q.Unattributed:
		reason, grant = p.AdmitUnattributed()
	case q.Again:
		reason, grant = p.AdmitAgain(q.Team, does)
	default:
		reason, grant = p.Admit(q.Team, does, member)
	}
	reasons := []verdict.Reason{reason}
	if grant == nil {
		return reasons, nil
	}
	if err := g.config.Enforceable(*grant); err != nil {
		r := policy.Failed(policy.ReasonProfile, err)
		r.Class = verdict.Rule
		return append(reasons, r), nil
	}
	return reasons, grant
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
func conclude(d *verdict.Decision) {
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

// Conclude records a decision whose reasons somebody else gathered: its outcome
// is that of the reasons, and denied if it cannot be recorded. ID and time are
// set here.
func (g *Gate) Conclude(ctx context.Context, d *verdict.Decision) error {
	var err error
	if d.ID, err = newID(g.config.Rand); err != nil {
		return err
	}
	d.Time = g.config.Now().UTC()
	if g.config.Policy != nil {
		d.PolicyHash = g.config.Policy.Hash()
	}
	conclude(d)
	g.record(ctx, d)
	return nil
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
