package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"plimsoll/internal/fault"
	"plimsoll/internal/gate"
	"plimsoll/internal/image"
	"plimsoll/internal/policy"
	"plimsoll/internal/ref"
	"plimsoll/internal/verdict"
)

// Question asks whether an image may be used.
type Question struct {
	Image       string     // reference as it was asked for, or ""
	Config      ref.Digest // the engine's image ID, "" before a pull
	RepoDigests []string   // under which names the engine says that it has it
	Team        string
	Action      string // one of [policy.Actions]
	Caller      policy.Caller
	Who         string // the caller in the record; "" for what Caller is called
	Door        string

	again        bool   // a container that starts again: nobody asks
	unattributed bool   // nobody with a team asks
	container    string // ID
	quick        bool   // use only what is known of layers: nothing is scanned
}

// request returns what the gate is asked, but for the image.
func (q *Question) request() gate.Request {
	return gate.Request{
		Team: q.Team, Action: q.Action, Member: q.Caller, Caller: cmp.Or(q.Who, q.Caller.String()), Door: q.Door,
		Again: q.again, Unattributed: q.unattributed, Container: q.container, Holds: q.Config,
	}
}

// way is one way to look at an image.
type way struct {
	name  string // what the gate opens
	image Image  // what is remembered of it
	known *Name  // the name that it has, by digest
	local bool
}

// Judge says whether an image may be used, and records it.
//
// A name with a tag is judged by that tag, and what the engine holds must be what
// the tag names. A name with a digest, or what the engine has under another name,
// or by its ID alone, is judged by digest, in the repositories that it came from.
// What came from nowhere is a local image.
func (a *Agent) Judge(ctx context.Context, q Question) (*verdict.Decision, error) {
	l := a.config.Law()
	if l.Policy == nil {
		return a.decide(ctx, l, q, q.request(), cmp.Or(q.Image, string(q.Config)))
	}
	key := question{l.environment(), q.Team, q.Image, q.Config, l.hash(), q.Action}
	done, err := a.wait(ctx, key)
	if err != nil {
		return nil, err
	}
	defer done()
	if seen, ok := a.repeatable(key); ok {
		d, err := a.repeat(ctx, l, q, cmp.Or(q.Image, string(q.Config)), seen)
		if err == nil && d.Allowed() {
			a.alias(d)
		}
		return d, err
	}
	ways, err := a.ways(l, q)
	if err != nil {
		return nil, err
	}
	var last *verdict.Decision
	for _, w := range ways {
		if last, err = a.try(ctx, l, key, q, w); err != nil || last.Allowed() {
			return last, err
		}
	}
	return last, nil
}

// maxWays bounds in how many repositories an image is looked for.
const maxWays = 4

// ways returns how to look at the image, at least one.
func (a *Agent) ways(l Law, q Question) ([]way, error) {
	known, _ := a.Image(q.Config)
	names := slices.Clone(known.Names)
	for _, s := range q.RepoDigests {
		r, err := ref.Parse(s)
		if err != nil || r.Digest == "" {
			continue // not of a registry
		}
		n := Name{Repository: string(r.GUN())}
		n.Top.Digest = r.Digest
		if !slices.ContainsFunc(names, func(o Name) bool { return o.Repository == n.Repository && o.Top.Digest == n.Top.Digest }) {
			names = append(names, n)
		}
	}
	var asked ref.Reference
	if q.Image != "" {
		var err error
		if asked, err = ref.Parse(q.Image); err != nil {
			return nil, err
		}
	}
	of := func(n Name) bool { return n.Repository == string(asked.GUN()) }
	localDenied := l.Policy.JudgeLocal(l.environment()).Outcome != verdict.Allowed
	switch {
	case asked.IsZero() && q.Config == "":
		return nil, fault.Errorf(fault.Invalid, "neither the name nor the ID of an image is given")
	case asked.Digest != "":
		return []way{byName(known, asked, names)}, nil
	case !asked.IsZero() && (q.Config == "" || slices.ContainsFunc(names, of) || len(names) == 0 && localDenied):
		return []way{{name: asked.String()}}, nil
	case len(names) == 0:
		return []way{{name: "docker:" + string(q.Config), image: known, local: true}}, nil
	}
	var all []way
	for _, n := range names[:min(len(names), maxWays)] {
		all = append(all, way{name: n.Repository + "@" + string(n.Top.Digest), image: known, known: &n})
	}
	return all, nil
}

func byName(known Image, asked ref.Reference, names []Name) way {
	asked = asked.GUN().Reference().WithDigest(asked.Digest)
	w := way{name: asked.String(), image: known, known: &Name{Repository: string(asked.GUN())}}
	w.known.Top.Digest = asked.Digest
	for _, n := range names {
		if n.Repository == w.known.Repository && n.Top.Digest == asked.Digest {
			w.known = &n
		}
	}
	return w
}

// try asks the gate, and remembers what it allows.
func (a *Agent) try(ctx context.Context, l Law, key question, q Question, w way) (*verdict.Decision, error) {
	r := q.request()
	if w.local {
		if reason := l.Policy.JudgeLocal(l.environment()); reason.Outcome != verdict.Allowed {
			reasons, _ := l.Gate.Admit(r)
			d := a.decision(l, q, w.name)
			d.Reasons = append(reasons, reason)
			return d, l.Gate.Conclude(ctx, d)
		}
	}
	var err error
	if r.Held, err = a.hold(ctx, w, q.quick); err != nil {
		a.config.Warn(err)
	}
	if r.Held == nil && q.quick {
		reasons, _ := l.Gate.Admit(r)
		d := a.decision(l, q, w.name)
		err := fault.Errorf(fault.NotFound, "nothing is kept of this image, and where containers start none is fetched")
		d.Reasons = append(reasons, policy.Failed(policy.ReasonImage, fault.Hint(err, "pull it, or make the container, through the engine's socket")))
		return d, l.Gate.Conclude(ctx, d)
	}
	return a.ask(ctx, l, key, q, r, w.name)
}

// ask asks the gate about one image, and keeps an answer that allows.
func (a *Agent) ask(ctx context.Context, l Law, key question, q Question, r gate.Request, name string) (*verdict.Decision, error) {
	r.Image = name
	got, err := l.Gate.Decide(ctx, r)
	if err != nil {
		return nil, err
	}
	d := &got.Decision
	if !d.Allowed() {
		return d, nil
	}
	config := q.Config
	if got.Image != nil && config == "" {
		config = got.Image.Config.Digest
	}
	s := answer{Seen: seen(d, got.Until), image: q.Image, config: config, team: q.Team}
	a.keep(key, s)
	if key.config == "" && config != "" { // the engine will hold this, and ask again
		key.config = config
		a.keep(key, s)
	}
	if got.Image != nil && r.Held == nil {
		if err := a.remember(ctx, config, got.Image); err != nil {
			a.config.Warn(fmt.Errorf("image %q is allowed, and cannot be remembered: %w", name, err))
		}
	}
	return d, nil
}

// decide asks a gate without a policy, which denies.
func (a *Agent) decide(ctx context.Context, l Law, _ Question, r gate.Request, name string) (*verdict.Decision, error) {
	r.Image = name
	got, err := l.Gate.Decide(ctx, r)
	if err == nil && got.Decision.Allowed() {
		err = fault.Errorf(fault.Internal, "an image was allowed without a policy")
	}
	return &got.Decision, err
}

func seen(d *verdict.Decision, until time.Time) Seen {
	return Seen{Decision: d.ID, Time: d.Time, Until: until, Policy: d.PolicyHash, Digest: d.Digest, Manifest: d.Manifest, GUN: d.GUN}
}

// hold returns the image as it is kept, nil if it is not.
func (a *Agent) hold(ctx context.Context, w way, quick bool) (*image.Image, error) {
	k, err := a.kept(w.image)
	if k == nil || err != nil {
		return nil, err
	}
	var more func(context.Context) (image.Blobs, error)
	if layers := a.config.Layers; layers != nil && !quick {
		more = func(ctx context.Context) (image.Blobs, error) { return layers(ctx, w.name) }
	}
	if w.local {
		return k.Open(ctx, w.name, ref.Reference{}, more)
	}
	if w.known == nil || w.known.Top.MediaType == "" {
		return nil, nil //nolint:nilnil // not known well enough
	}
	k.Top = w.known.Top
	return k.Open(ctx, w.name, ref.GUN(w.known.Repository).Reference(), more)
}

// remember keeps what an image is known by, so that it can be judged again
// without anybody being asked for it.
func (a *Agent) remember(ctx context.Context, config ref.Digest, m *image.Image) error {
	old, known := a.Image(config)
	var n *Name
	if !m.Reference.IsZero() {
		n = &Name{Repository: string(m.Reference.GUN()), Top: m.Top}
		n.Top.Annotations, n.Top.Data, n.Top.URLs, n.Top.Platform = nil, nil, nil, nil
	}
	var kept *image.Kept
	if !known || !old.Kept {
		var err error
		if kept, err = image.Keep(ctx, m); err != nil {
			return err
		}
	}
	var top ref.Digest
	if chain := image.ChainIDs(m.Spec.RootFS.DiffIDs); len(chain) > 0 {
		top = chain[len(chain)-1]
	}
	return a.Pulled(config, n, top, kept)
}

// decision returns one that is still without an outcome.
func (a *Agent) decision(l Law, q Question, name string) *verdict.Decision {
	return &verdict.Decision{
		Door: q.Door, Image: name, Team: q.Team, Caller: cmp.Or(q.Who, q.Caller.String()),
		Environment: l.environment(), Container: q.container,
	}
}

// repeat answers with what was decided before about the image. Whether the team
// may have it, and what it gets, is decided now.
func (a *Agent) repeat(ctx context.Context, l Law, q Question, name string, s Seen, more ...verdict.Reason) (*verdict.Decision, error) {
	reasons, p := l.Gate.Admit(q.request())
	d := a.decision(l, q, name)
	d.GUN, d.Digest, d.Manifest, d.Rests, d.Profile = s.GUN, s.Digest, s.Manifest, s.Decision, p
	if len(more) == 0 {
		more = []verdict.Reason{{
			Rule: policy.ReasonCached, Outcome: verdict.Allowed,
			Message: fmt.Sprintf("the image was allowed on %s, and that still counts", s.Time.UTC().Format(time.RFC3339)),
		}}
	}
	d.Reasons = append(reasons, more...)
	return d, l.Gate.Conclude(ctx, d)
}

// repeatable returns an answer that still holds.
func (a *Agent) repeatable(key question) (Seen, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, ok := a.cache[key]
	return s.Seen, ok && s.holds(a.config.Now(), a.config.Cache, key.policy)
}

// maxAnswers bounds how many answers are kept to be repeated.
const maxAnswers = 10_000

func (a *Agent) keep(key question, s answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.cache) >= maxAnswers || len(a.made) >= maxAnswers {
		now := a.config.Now()
		stale := func(s answer) bool { return !s.holds(now, a.config.Cache, key.policy) }
		maps.DeleteFunc(a.cache, func(_ question, s answer) bool { return stale(s) })
		maps.DeleteFunc(a.made, func(_ string, s answer) bool { return stale(s) })
		if len(a.cache) >= maxAnswers || len(a.made) >= maxAnswers {
			clear(a.cache)
			clear(a.made)
		}
	}
	a.cache[key], a.made[s.Decision] = s, s
}

// madeBy returns what a decision of the last minutes rests on.
func (a *Agent) madeBy(decision string) (answer, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, ok := a.made[decision]
	return s, ok
}

// alias lets a decision that repeats another stand for it.
func (a *Agent) alias(d *verdict.Decision) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s, ok := a.made[d.Rests]; ok && len(a.made) < maxAnswers {
		a.made[d.ID] = s
	}
}

// wait returns when nobody else looks for an answer to the same question.
func (a *Agent) wait(ctx context.Context, key question) (done func(), err error) {
	for {
		a.mu.Lock()
		other := a.busy[key]
		if other == nil {
			mine := make(chan struct{})
			a.busy[key] = mine
			a.mu.Unlock()
			return func() {
				a.mu.Lock()
				delete(a.busy, key)
				a.mu.Unlock()
				close(mine)
			}, nil
		}
		a.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, fault.As(fault.Unavailable, fmt.Errorf("judge %q: %w", key.image, ctx.Err()))
		}
	}
}

// denied returns a decision as an error. Its kind is Unavailable if nobody could
// look.
func denied(d *verdict.Decision) error {
	kind, first := fault.Denied, -1
	var all []string
	for i, r := range d.Reasons {
		if r.Outcome != verdict.Denied {
			continue
		}
		if first < 0 {
			first = i
		}
		all = append(all, r.Rule+": "+r.Message)
		switch {
		case r.Class == verdict.Unavailable:
			kind = fault.Unavailable
		case r.Class == verdict.Evidence && kind != fault.Unavailable:
			kind = fault.Untrusted
		}
	}
	if first < 0 {
		return fault.As(fault.Denied, errors.New("denied without a reason"))
	}
	err := fault.Errorf(kind, "denied (decision %s): %s", d.ID, strings.Join(all, "; "))
	if h := d.Reasons[first].Hint; h != "" {
		err = fault.Hint(err, "%s", h)
	}
	return err
}

// unreachable reports whether everything that speaks against d is that evidence
// about the image could not be looked at.
func unreachable(d *verdict.Decision) bool {
	any := false
	for _, r := range d.Reasons {
		if r.Outcome != verdict.Denied {
			continue
		}
		if r.Class != verdict.Unavailable || r.Rule == policy.ReasonPolicy || r.Rule == policy.ReasonRecorded {
			return false
		}
		any = true
	}
	return any
}
