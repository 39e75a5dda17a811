package agent

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"plimsoll/internal/fault"
	"plimsoll/internal/idmap"
	"plimsoll/internal/image"
	"plimsoll/internal/policy"
	"plimsoll/internal/profile"
	"plimsoll/internal/ref"
	"plimsoll/internal/seal/protocol"
	"plimsoll/internal/seal/rewrite"
	"plimsoll/internal/verdict"
)

// Door is the runtime's name in decisions.
const Door = "runtime"

// Created remembers a container whose image a decision of the last minutes
// allowed. Conflict if the decision is not known any more, or was about another
// image or team.
func (a *Agent) Created(c Container) error {
	s, ok := a.madeBy(c.Decision)
	if !ok || s.team != c.Team || c.Config == "" || s.config != c.Config {
		return fault.Errorf(fault.Conflict, "container %.80q: no decision %.40q of the last minutes allowed its image to %s", c.ID, c.Decision, c.Team)
	}
	c.Seen, c.Made = s.Seen, a.config.Now().UTC()
	return a.Memory.Created(c)
}

// subject is the container that the runtime asks about, as far as it is known.
type subject struct {
	record  *Container // nil if there is none
	team    string
	volumes []string
	own     []string
	roots   []string
}

// Grant answers whether a container may start, and with what. A refusal is an
// error; either way it was recorded.
func (a *Agent) Grant(ctx context.Context, q *protocol.Question) (*protocol.Grant, error) {
	if err := q.Validate(); err != nil {
		return nil, err
	}
	l := a.config.Law()
	s := &subject{}
	d, err := a.attribute(ctx, l, q, s)
	switch {
	case err != nil:
		return nil, err
	case !d.Allowed():
		return nil, denied(d)
	case d.Profile == nil || s.team == "" || d.Receipt == nil:
		return nil, fault.Errorf(fault.Internal, "decision %s allows without a team, a profile or a receipt", d.ID)
	}
	return a.grant(ctx, q, s, d)
}

// attribute finds out whose the container is and has its image judged.
func (a *Agent) attribute(ctx context.Context, l Law, q *protocol.Question, s *subject) (*verdict.Decision, error) {
	c, err := a.Container(q.ID)
	build, step := a.builds.of(q.Cgroup)
	switch {
	case err == nil:
		s.record, s.team = &c, c.Team
		return a.restarted(ctx, l, q, s)
	case step:
		s.team = build.Team
		return a.step(ctx, l, q, build, s)
	}
	s.team = policy.Unattributed
	return a.nobodys(ctx, l, q, s)
}

// restarted judges a container that is remembered, by the digest of its image.
func (a *Agent) restarted(ctx context.Context, l Law, q *protocol.Question, s *subject) (*verdict.Decision, error) {
	c := s.record
	ask := Question{Config: c.Config, Team: c.Team, Action: policy.ActionRun, Door: Door, again: true, container: c.ID, Who: c.Caller, quick: true}
	w, err := a.docker.container(q.ID)
	if err == nil && w.Image != c.Config {
		err = fault.Errorf(fault.Untrusted, "the engine says that container %s is made of %s, and it was made of %s", q.ID, w.Image, c.Config)
	}
	if err != nil {
		return a.refuse(ctx, l, ask, cmp.Or(c.Image, string(c.Config)), err)
	}
	s.engine(a.docker, q.ID, c.Volumes)
	if c.Seen.holds(a.config.Now(), a.config.Cache, l.hash()) {
		return a.repeat(ctx, l, ask, cmp.Or(c.Image, string(c.Config)), c.Seen)
	}
	d, err := a.Judge(ctx, ask)
	switch {
	case err != nil:
		return nil, err
	case d.Allowed():
		if seen, ok := a.madeBy(cmp.Or(d.Rests, d.ID)); ok {
			err = a.change(c.ID, func(c *Container) { c.Seen = seen.Seen })
		}
		return d, err
	}
	if reason, ok := a.outlasts(l, c, d); ok {
		return a.repeat(ctx, l, ask, cmp.Or(c.Image, string(c.Config)), c.Seen, reason)
	}
	return d, nil
}

// outlasts says whether a container that is denied may start all the same: it was
// allowed under this very policy, the policy keeps such containers, and nothing
// speaks against it but that nobody could look.
func (a *Agent) outlasts(l Law, c *Container, d *verdict.Decision) (verdict.Reason, bool) {
	if l.Policy == nil || l.Policy.Host == nil || !unreachable(d) {
		return verdict.Reason{}, false
	}
	keep := l.Policy.Host.WhenUnreachable.Keep
	if keep == 0 || !c.Seen.holds(a.config.Now(), keep, l.hash()) {
		return verdict.Reason{}, false
	}
	r := verdict.Reason{
		Rule: policy.ReasonKept, Outcome: verdict.Excepted,
		Message: fmt.Sprintf("nobody could look at the evidence; the container has not changed since it was allowed on %s, and is kept for %s", c.Seen.Time.UTC().Format(time.RFC3339), keep),
	}
	for _, bad := range d.Reasons {
		if bad.Outcome == verdict.Denied {
			r.Evidence = append(r.Evidence, bad.Rule+": "+bad.Message)
		}
	}
	return r, true
}

// engine fills in what a Docker engine keeps for the container.
func (s *subject) engine(d docker, id string, volumes []string) {
	s.own, s.roots, s.volumes = []string{d.folder(id)}, []string{d.volumes()}, volumes
}

// step judges a step of a build: on the bottom of what was built so far there
// must be an image that is allowed.
func (a *Agent) step(ctx context.Context, l Law, q *protocol.Question, b Build, s *subject) (*verdict.Decision, error) {
	ask := Question{Team: b.Team, Action: policy.ActionBuild, Door: Door, again: true, container: q.ID, Who: b.Caller, quick: true}
	if l.Policy == nil {
		return a.decide(ctx, l, ask, ask.request(), q.ID)
	}
	may, _ := l.Policy.AdmitAgain(b.Team, policy.ActionBuild)
	builds := l.Policy.JudgeBuild(l.environment())
	w, err := a.docker.container(q.ID)
	if err != nil {
		return a.refuse(ctx, l, ask, q.ID, err, may, builds)
	}
	if may.Outcome == verdict.Denied || builds.Outcome == verdict.Denied {
		return a.refuse(ctx, l, ask, string(w.Image), nil, may, builds)
	}
	base, err := a.base(ctx, ask, w.Image)
	if err != nil {
		return a.refuse(ctx, l, ask, string(w.Image), err, may, builds)
	}
	if !base.Allowed() {
		return base, nil
	}
	c := Container{ID: q.ID, Team: b.Team, Caller: b.Caller, Decision: base.ID, Config: w.Image, Made: a.config.Now().UTC()}
	if err := a.Memory.Created(c); err != nil {
		return nil, err
	}
	s.record = &c
	s.engine(a.docker, q.ID, a.unclaimed(s.team, w.anonymous()))
	return base, nil
}

// base judges the image that lies at the bottom of what was built: the largest
// part of its layers, from below, that is all of an image which is known here.
func (a *Agent) base(ctx context.Context, ask Question, config ref.Digest) (*verdict.Decision, error) {
	chain, err := a.docker.chain(config)
	if err != nil {
		return nil, err
	}
	var last *verdict.Decision
	for _, id := range slices.Backward(chain) {
		for _, i := range a.byChain(id) {
			ask.Config = i.Config
			if last, err = a.Judge(ctx, ask); err != nil || last.Allowed() {
				return last, err
			}
		}
	}
	if last == nil {
		return nil, fault.Hint(fault.Errorf(fault.NotFound, "image %s stands on no image that is known here", config), "build FROM an image that is allowed, and pull it through the engine's socket first")
	}
	return last, nil
}

// nobodys judges a container that nobody with a team asked for.
func (a *Agent) nobodys(ctx context.Context, l Law, q *protocol.Question, s *subject) (*verdict.Decision, error) {
	ask := Question{Action: policy.ActionRun, Door: Door, unattributed: true, container: q.ID, Who: "engine", quick: true}
	if l.Policy == nil {
		return a.decide(ctx, l, ask, ask.request(), q.ID)
	}
	if reasons, p := l.Gate.Admit(ask.request()); p == nil {
		d := a.decision(l, ask, q.ID)
		d.Reasons = reasons
		return d, l.Gate.Conclude(ctx, d)
	}
	w, err := a.docker.container(q.ID)
	switch {
	case err == nil:
		s.engine(a.docker, q.ID, a.unclaimed(s.team, w.anonymous()))
		ask.Config = w.Image
		return a.Judge(ctx, ask)
	case !fault.Is(err, fault.NotFound):
		return a.refuse(ctx, l, ask, q.ID, err)
	case a.config.Podman.Root != "" && q.Annotations["io.container.manager"] == "libpod":
		return a.ofPodman(ctx, l, q, ask, s)
	case a.config.Containerd != "":
		return a.ofContainerd(ctx, l, q, ask, s)
	}
	return a.refuse(ctx, l, ask, q.ID, err)
}

// ofContainerd judges a container by containerd's own record of it.
func (a *Agent) ofContainerd(ctx context.Context, l Law, q *protocol.Question, ask Question, s *subject) (*verdict.Decision, error) {
	o := &image.Opener{Containerd: a.config.Containerd, Namespace: path.Base(q.State)}
	m, err := o.OpenContainer(ctx, q.ID)
	if err != nil {
		return a.refuse(ctx, l, ask, q.ID, err)
	}
	if sandbox := q.Annotations["io.kubernetes.cri.sandbox-id"]; protocol.ValidID(sandbox) {
		s.own = []string{filepath.Join(a.config.Containerd, "io.containerd.grpc.v1.cri", "sandboxes", sandbox)}
	}
	return a.stored(ctx, l, ask, m)
}

// ofPodman judges a container by podman's own record of it. An image that was pulled
// by an index is allowed if either that or its manifest is.
func (a *Agent) ofPodman(ctx context.Context, l Law, q *protocol.Question, ask Question, s *subject) (*verdict.Decision, error) {
	all, err := a.config.Podman.OpenContainer(ctx, q.ID)
	if err != nil {
		return a.refuse(ctx, l, ask, q.ID, err)
	}
	s.own = a.config.Podman.Own(q.ID)
	var last *verdict.Decision
	for _, m := range all {
		if last, err = a.stored(ctx, l, ask, m); err != nil || last.Allowed() {
			break
		}
	}
	return last, err
}

// stored judges an image as another engine has it.
func (a *Agent) stored(ctx context.Context, l Law, ask Question, m *image.Image) (*verdict.Decision, error) {
	ask.Image, ask.Config = m.Reference.String(), m.Config.Digest
	key := question{l.environment(), "", ask.Image, ask.Config, l.hash(), ask.Action}
	done, err := a.wait(ctx, key)
	if err != nil {
		return nil, err
	}
	defer done()
	if seen, ok := a.repeatable(key); ok {
		return a.repeat(ctx, l, ask, ask.Image, seen)
	}
	r := ask.request()
	r.Held = image.Unread(m)
	return a.ask(ctx, l, key, ask, r, ask.Image)
}

// refuse records a denial for err, if it is not nil, beside what else was decided.
func (a *Agent) refuse(ctx context.Context, l Law, q Question, name string, err error, more ...verdict.Reason) (*verdict.Decision, error) {
	d := a.decision(l, q, name)
	d.Reasons = more
	if err != nil {
		d.Reasons = append(d.Reasons, policy.Failed(policy.ReasonImage, err))
	}
	return d, l.Gate.Conclude(ctx, d)
}

// Holder returns the name under which a container of a runtime's state folder
// holds its IDs.
func Holder(state, id string) string {
	s, i := sha256.Sum256([]byte(state)), sha256.Sum256([]byte(id))
	return holderPrefix + hex.EncodeToString(s[:8]) + "-" + hex.EncodeToString(i[:16])
}

// holderPrefix tells the guard's holders from those of others.
const holderPrefix = "guard-"

// grant puts together what the container gets.
func (a *Agent) grant(ctx context.Context, q *protocol.Question, s *subject, d *verdict.Decision) (*protocol.Grant, error) {
	g := &protocol.Grant{
		Team: s.team, Decision: d.ID, Profile: *d.Profile, Own: s.own, VolumeRoots: s.roots, VolumeNames: s.volumes,
		Protected: a.config.Protected,
	}
	var err error
	var named bool
	if g.Egress, named, err = egress(ctx, a.config.Resolver, d.Profile.Network.Egress); err != nil {
		return nil, err
	}
	if named {
		if g.Resolvers, err = nameServers(s.own); err != nil {
			return nil, err
		}
	}
	if g.Disk, err = a.config.Ranges.Team(ctx, s.team); err != nil {
		return nil, err
	}
	if err := a.projects(q, g, s); err != nil {
		return nil, err
	}
	if rewrite.InSlice(q.Cgroup) {
		if err := a.slice(ctx, s.team, g.Profile.Total); err != nil {
			return nil, err
		}
	}
	if g.IDs, err = a.take(ctx, q, s.team); err != nil {
		return nil, err
	}
	return g, g.Validate()
}

// slice has systemd hold the team's slice to its totals, before there is anything
// in it.
func (a *Agent) slice(ctx context.Context, team string, total profile.Share) error {
	switch {
	case a.config.Slices != nil:
		return a.config.Slices.Limit(ctx, rewrite.Slice(team), total)
	case total.CPUs != 0 || total.Memory != 0 || total.PIDs != 0:
		return fault.Errorf(fault.Denied, "the profile's total cannot be enforced: the engine leaves control groups to systemd, which the guard does not reach")
	}
	return nil
}

// take gives the container its IDs: its own, or those of the container whose
// namespaces it shares, since whatever it would own there belongs to these.
func (a *Agent) take(ctx context.Context, q *protocol.Question, team string) (idmap.Range, error) {
	me := Holder(q.State, q.ID)
	if len(q.Joins) > 1 {
		return idmap.Range{}, fault.Errorf(fault.Denied, "a container can share the namespaces of one other, not of %d", len(q.Joins))
	}
	holder := me
	for _, id := range q.Joins {
		other, err := a.Container(id)
		if err != nil || other.Team != team {
			return idmap.Range{}, fault.Errorf(fault.Denied, "container %.80q is not %s's: its namespaces cannot be shared", id, team)
		}
		holder = Holder(q.State, id)
		if above := a.holdersOf(holder); len(above) > 0 {
			holder = above[0]
		}
	}
	defer a.turn(holder)()
	if holder != me {
		if err := a.Claim(kindJoin, holder+" "+me, team); err != nil {
			return idmap.Range{}, err
		}
	}
	if _, err := a.Owner(kindEnded, holder); err == nil && holder == me {
		if err := a.Disown(kindEnded, holder); err != nil {
			return idmap.Range{}, err
		}
	}
	r, err := a.config.Ranges.Take(ctx, holder)
	if err == nil {
		a.mu.Lock()
		a.granted[holder] = a.config.Now()
		a.mu.Unlock()
	}
	return r, err
}

// Deleted takes note that nothing of a container runs any more. Its IDs go back
// unless others, who joined it, run with them.
func (a *Agent) Deleted(ctx context.Context, q *protocol.Question) error {
	if err := q.Validate(); err != nil {
		return err
	}
	me := Holder(q.State, q.ID)
	for _, holder := range a.holdersOf(me) {
		if err := a.left(ctx, holder, me); err != nil {
			return err
		}
	}
	defer a.turn(me)()
	if a.joined(me) {
		return a.Claim(kindEnded, me, nobody)
	}
	return a.free(ctx, me)
}

// left takes note that joiner does not run with holder's IDs any more.
func (a *Agent) left(ctx context.Context, holder, joiner string) error {
	defer a.turn(holder)()
	if err := a.Disown(kindJoin, holder+" "+joiner); err != nil {
		return err
	}
	if _, err := a.Owner(kindEnded, holder); err != nil || a.joined(holder) {
		return nil
	}
	if err := a.free(ctx, holder); err != nil {
		return err
	}
	return a.Disown(kindEnded, holder)
}

// free gives IDs back; it is the holder's turn.
func (a *Agent) free(ctx context.Context, holder string) error {
	if err := a.config.Ranges.Free(ctx, holder); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.granted, holder)
	return nil
}

// ours reports whether IDs are held by a container of the guard's.
func ours(holder string) bool { return strings.HasPrefix(holder, holderPrefix) }
