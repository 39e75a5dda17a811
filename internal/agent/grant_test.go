package agent_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"plimsoll/internal/agent"
	"plimsoll/internal/fault"
	"plimsoll/internal/idmap"
	"plimsoll/internal/policy"
	"plimsoll/internal/profile"
	"plimsoll/internal/ref"
	"plimsoll/internal/seal/protocol"
	"plimsoll/internal/verdict"
)

func TestAContainerStarts(t *testing.T) {
	w := newWorld(t)
	s := w.registry.add(t, app, "layer")
	w.make(1, s)
	g := w.mustStart(1)
	if g.Team != "payments" || g.Profile.Memory != 64<<20 || g.Profile.Total.PIDs != 100 || g.Project == 0 || g.TeamProject == 0 || g.Volumes != 4<<30-100<<20 ||
		!slices.Equal(g.VolumeNames, []string{"data"}) || !slices.Equal(g.Own, []string{filepath.Join(w.docker, "containers", id(1))}) ||
		!slices.Equal(g.Protected, []string{"/run/plimsoll"}) || !slices.Equal(g.VolumeRoots, []string{filepath.Join(w.docker, "volumes")}) {
		t.Errorf("granted %+v", g)
	}
	all := w.recorded()
	last := all[len(all)-1]
	if last.ID != g.Decision || last.Rests != all[0].ID || last.Container != id(1) || last.Door != agent.Door || last.Caller != "alice" || last.Digest != s.top {
		t.Errorf("recorded %+v", last)
	}
	w.make(2, s)
	if two := w.mustStart(2); two.IDs == g.IDs || two.Disk != g.Disk || two.Project == g.Project || two.TeamProject != g.TeamProject {
		t.Errorf("the second got %+v, the first %+v", two, g)
	}
	if again := w.mustStart(1); again.IDs != g.IDs || again.Project != g.Project {
		t.Errorf("again %+v, first %+v", again, g)
	}
}

func TestARestartIsByDigest(t *testing.T) {
	w := newWorld(t)
	s := w.registry.add(t, app, "layer")
	w.make(1, s)
	w.registry.add(t, app, "a newer one") // the tag moves on
	w.open()                              // and the guard is started again
	w.later(time.Hour)
	g := w.mustStart(1)
	all := w.recorded()
	if last := all[len(all)-1]; last.ID != g.Decision || last.Rests != "" || last.Digest != s.top {
		t.Errorf("recorded %+v", last)
	}
	if d := w.judge(agent.Question{Image: app, Config: s.config}); d.Allowed() || !strings.Contains(text(d), "the engine holds "+string(s.config)) {
		t.Errorf("a new container of the tag, by what the engine still holds: %s", text(d))
	}
	w.registry.mu.Lock()
	delete(w.registry.signed, s.top)
	w.registry.mu.Unlock()
	w.later(time.Hour)
	w.mustNotStart(1, fault.Untrusted, "no role names it")
}

func text(d *verdict.Decision) string {
	var all []string
	for _, r := range d.Reasons {
		all = append(all, r.Rule+" "+string(r.Outcome)+": "+r.Message)
	}
	return strings.Join(all, "\n")
}

func TestWhoIsNotKnownIsRefused(t *testing.T) {
	w := newWorld(t)
	s := w.registry.add(t, app, "layer")
	w.mustNotStart(1, fault.Denied, "nobody with a team")
	w.make(1, s)
	for name, spoil := range map[string]func(){
		"another image in the engine": func() { w.engine(1, ref.Digest("sha256:"+id(7))) },
		"another container's file":    func() { must(t, os.WriteFile(w.file(1), []byte(`{"ID":"x","Image":"`+string(s.config)+`"}`), 0o600)) },
		"no image in the file":        func() { must(t, os.WriteFile(w.file(1), []byte(`{"ID":"`+id(1)+`"}`), 0o600)) },
		"not JSON":                    func() { must(t, os.WriteFile(w.file(1), []byte("{"), 0o600)) },
		"no file":                     func() { must(t, os.Remove(w.file(1))) },
	} {
		w.engine(1, s.config)
		w.mustStart(1)
		spoil()
		if g, err := w.start(1); err == nil {
			t.Errorf("%s: granted %+v", name, g)
		}
	}
	w.engine(1, s.config)
	if err := w.Removed(id(1)); err != nil {
		t.Fatal(err)
	}
	w.mustNotStart(1, fault.Denied, "nobody with a team")
	for _, d := range w.recorded() {
		if d.Receipt != nil || d.PolicyHash == "" {
			t.Errorf("recorded %+v", d)
		}
	}
	if all := w.recorded(); all[len(all)-1].Allowed() || all[len(all)-1].Container != id(1) {
		t.Errorf("the refusal is not recorded: %+v", all[len(all)-1])
	}
}

func (w *world) file(n int) string {
	return filepath.Join(w.docker, "containers", id(n), "config.v2.json")
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestCreatedNeedsADecision(t *testing.T) {
	w := newWorld(t)
	s := w.registry.add(t, app, "layer")
	d := w.judge(agent.Question{Image: app, Config: s.config})
	good := agent.Container{ID: id(1), Team: "payments", Decision: d.ID, Config: s.config}
	for name, change := range map[string]func(*agent.Container){
		"no decision":         func(c *agent.Container) { c.Decision = "" },
		"an unknown decision": func(c *agent.Container) { c.Decision = "00" },
		"another team":        func(c *agent.Container) { c.Team = "other" },
		"another image":       func(c *agent.Container) { c.Config = ref.Digest("sha256:" + id(7)) },
		"no image":            func(c *agent.Container) { c.Config = "" },
	} {
		c := good
		change(&c)
		if err := w.Created(c); !fault.Is(err, fault.Conflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, w.Created(good))
	repeated := w.judge(agent.Question{Image: app, Config: s.config})
	if repeated.Rests != d.ID {
		t.Errorf("rests on %q, not on %q", repeated.Rests, d.ID)
	}
	must(t, w.Created(agent.Container{ID: id(2), Team: "payments", Decision: repeated.ID, Config: s.config}))
	c := good
	if c.Team = "other"; true {
		d := w.judge(agent.Question{Image: app, Config: s.config, Team: "other", Caller: policy.Caller{User: "bob"}})
		c.Decision = d.ID
		if err := w.Created(c); !fault.Is(err, fault.Conflict) {
			t.Errorf("a container was taken over: %v", err)
		}
	}
}

// TestNothingIsRepeatedTooLong looks whether the gate is asked again.
func TestNothingIsRepeatedTooLong(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(w *world)
		asked  bool
		starts bool
	}{
		"at once":                    {func(*world) {}, false, true},
		"four minutes later":         {func(w *world) { w.later(4 * time.Minute) }, false, true},
		"six minutes later":          {func(w *world) { w.later(6 * time.Minute) }, true, true},
		"a clock that goes back":     {func(w *world) { w.later(-time.Minute) }, true, true},
		"another policy":             {func(w *world) { w.rule(document + "\n# changed\n") }, true, true},
		"a policy that denies":       {func(w *world) { w.rule(strings.Replace(document, "roles: [releases]", "roles: [security]", 1)) }, true, false},
		"a team that may not":        {func(w *world) { w.rule(strings.Replace(document, "may: [run, build]", "may: [logs]", 1)) }, true, false},
		"a team that is gone":        {func(w *world) { w.rule(strings.Replace(document, "  payments:", "  pay:", 1)) }, true, false},
		"a member who left":          {func(w *world) { w.rule(strings.Replace(document, "users: [alice]", "users: []", 1)) }, true, true},
		"no policy":                  {func(w *world) { w.mu.Lock(); w.policy = nil; w.mu.Unlock() }, false, false},
		"evidence that has expired":  {func(w *world) { w.later(3 * time.Minute) }, true, false},
		"evidence that still counts": {func(w *world) { w.later(time.Minute) }, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := w.registry.add(t, app, "layer")
			if strings.HasPrefix(name, "evidence") {
				w.registry.expires = w.now.Add(2 * time.Minute)
			}
			w.make(1, s)
			before := len(w.recorded())
			tt.change(w)
			_, err := w.start(1)
			if (err == nil) != tt.starts {
				t.Errorf("starts: %v, want %v", err, tt.starts)
			}
			all := w.recorded()[before:]
			if len(all) == 0 {
				t.Fatal("nothing is recorded")
			}
			if last := all[len(all)-1]; (last.Rests == "") != tt.asked && tt.starts || last.Allowed() != tt.starts {
				t.Errorf("rests on %q, outcome %s", last.Rests, last.Outcome)
			}
		})
	}
}

func TestWhenTheEvidenceIsOutOfReach(t *testing.T) {
	keep := strings.Replace(document, "host: {environment: production}", "host: {environment: production, whenUnreachable: keep 2h}", 1)
	for name, tt := range map[string]struct {
		policy string
		change func(w *world, s *served)
		starts bool
	}{
		"deny":                   {document, func(w *world, _ *served) { w.down(); w.later(time.Hour) }, false},
		"kept":                   {keep, func(w *world, _ *served) { w.down(); w.later(time.Hour) }, true},
		"kept by another guard":  {keep, func(w *world, _ *served) { w.down(); w.later(time.Hour); w.open() }, true},
		"kept too long":          {keep, func(w *world, _ *served) { w.down(); w.later(3 * time.Hour) }, false},
		"another policy":         {keep, func(w *world, _ *served) { w.down(); w.later(time.Hour); w.rule(keep + "\n#\n") }, false},
		"another image":          {keep, func(w *world, _ *served) { w.down(); w.later(time.Hour); w.engine(1, ref.Digest("sha256:"+id(7))) }, false},
		"not signed any more":    {keep, func(w *world, s *served) { delete(w.registry.signed, s.top); w.later(time.Hour) }, false},
		"evidence that expired":  {keep, func(w *world, _ *served) { w.down(); w.later(119 * time.Minute) }, false},
		"a finding since":        {strings.Replace(keep, "    builds:", "    rules: [{id: bad, each: image, deny: 'image.platform == \"linux/amd64\" && image.digest == \"\"'}]\n    builds:", 1), func(w *world, _ *served) { w.down(); w.later(time.Hour) }, true},
		"a clock that went back": {keep, func(w *world, _ *served) { w.down(); w.later(-time.Hour) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.rule(tt.policy)
			w.registry.expires = w.now.Add(118 * time.Minute)
			s := w.registry.add(t, app, "layer")
			w.make(1, s)
			tt.change(w, s)
			if _, err := w.start(1); (err == nil) != tt.starts {
				t.Errorf("starts: %v, want %v", err, tt.starts)
			}
			all := w.recorded()
			last := all[len(all)-1]
			if last.Allowed() != tt.starts {
				t.Errorf("recorded %s", text(&last))
			}
			if tt.starts && !strings.Contains(text(&last), policy.ReasonKept+" excepted") {
				t.Errorf("it is not said why: %s", text(&last))
			}
			if g, err := w.start(2); err == nil {
				t.Errorf("a new container: %+v", g)
			}
		})
	}
}

func (w *world) down() {
	w.registry.mu.Lock()
	defer w.registry.mu.Unlock()
	w.registry.down = errDown
}

func TestNoRegistryIsAskedForWhatIsKept(t *testing.T) {
	w := newWorld(t)
	w.rule(strings.Replace(document, "    signed: {roles: [releases]}\n", "", 1)) // whose metadata are the one thing that must be fresh
	s := w.registry.add(t, app, "layer")
	w.make(1, s)
	w.down()
	w.later(time.Hour)
	before := w.registry.asked.Load()
	w.mustStart(1)
	if d := w.judge(agent.Question{Config: s.config}); !d.Allowed() {
		t.Errorf("by ID: %s", text(d))
	}
	if d := w.judge(agent.Question{Image: "registry.example.com/app@" + string(s.top), Config: s.config}); !d.Allowed() {
		t.Errorf("by digest: %s", text(d))
	}
	if got := w.registry.asked.Load(); got != before {
		t.Errorf("asked %d times", got-before)
	}
	w.later(time.Hour)
	w.registry.scanned = map[ref.Digest]bool{} // the inventory is lost: where containers start nobody scans
	w.mustNotStart(1, fault.Untrusted, "nothing is scanned")
}

func TestNames(t *testing.T) {
	w := newWorld(t)
	s := w.registry.add(t, app, "layer")
	w.judge(agent.Question{Image: app}) // a pull
	unknown := ref.Digest("sha256:" + id(7))
	for _, tt := range []struct {
		name string
		q    agent.Question
		ok   bool
	}{
		{"by tag", agent.Question{Image: app, Config: s.config}, true},
		{"by ID", agent.Question{Config: s.config}, true},
		{"by digest", agent.Question{Image: "registry.example.com/app@" + string(s.top), Config: s.config}, true},
		{"by tag and digest", agent.Question{Image: "registry.example.com/app:9@" + string(s.top), Config: s.config}, true},
		{"under a name of one's own", agent.Question{Image: "docker.io/library/mine:1", Config: s.config}, true},
		{"by tag, with another image in the engine", agent.Question{Image: app, Config: unknown}, false},
		{"by digest, with another image in the engine", agent.Question{Image: "registry.example.com/app@" + string(s.top), Config: unknown}, false},
		{"another image that the engine says is this", agent.Question{Config: unknown, RepoDigests: []string{"registry.example.com/app@" + string(s.top)}}, false},
		{"an unknown ID", agent.Question{Config: unknown}, false},
		{"in another repository", agent.Question{Image: "registry.example.com/b@" + string(s.top), Config: s.config}, false},
	} {
		if d := w.judge(tt.q); d.Allowed() != tt.ok {
			t.Errorf("%s: %s", tt.name, text(d))
		}
	}
	if _, err := w.Judge(t.Context(), agent.Question{Team: "payments", Action: "run", Caller: policy.Caller{User: "alice"}}); !fault.Is(err, fault.Invalid) {
		t.Errorf("nothing named: %v", err)
	}
	if d := w.judge(agent.Question{Image: app, Config: s.config, Team: "payments", Caller: policy.Caller{User: "mallory"}}); d.Allowed() || d.Profile != nil {
		t.Errorf("a stranger: %s", text(d))
	}
}

func TestLocalImages(t *testing.T) {
	w := newWorld(t)
	s := w.registry.add(t, app, "layer")
	delete(w.registry.tags, app)
	w.registry.tags["docker:"+string(s.config)] = s
	for _, q := range []agent.Question{{Config: s.config}, {Image: "docker.io/library/mine:1", Config: s.config}} {
		if d := w.judge(q); d.Allowed() {
			t.Errorf("local images are denied, and %+v was allowed: %s", q, text(d))
		}
	}
	w.rule(strings.Replace(document, "    builds:", "    local: allow\n    builds:", 1))
	for _, q := range []agent.Question{{Config: s.config}, {Image: "docker.io/library/mine:1", Config: s.config}} {
		d := w.judge(q)
		if !d.Allowed() || d.GUN != "" {
			t.Errorf("%+v: %s", q, text(d))
		}
		must(t, w.Created(agent.Container{ID: id(1), Team: "payments", Decision: d.ID, Config: s.config}))
	}
	w.engine(1, s.config)
	w.down()
	w.later(time.Hour) // judged again, without the engine being asked for the image
	w.mustStart(1)
}

func TestBuilds(t *testing.T) {
	w := newWorld(t)
	base := w.registry.add(t, app, "base", "layer")
	w.judge(agent.Question{Image: app})
	built := w.registry.add(t, "registry.example.com/built:1", "base", "layer", "copied", "run")
	half := w.registry.add(t, "registry.example.com/half:1", "base", "other")
	alien := w.registry.add(t, bobs, "evil")
	parent, done, err := w.Building(agent.Build{Team: "payments", Caller: "alice"})
	must(t, err)
	defer done()
	step := func(n int, s *served, cgroup string) (*protocol.Grant, error) {
		w.engine(n, s.config)
		w.engineImage(s)
		return w.Grant(t.Context(), &protocol.Question{Version: 1, Verb: protocol.Create, ID: id(n), State: state, Cgroup: cgroup})
	}
	for n, s := range []*served{base, built} {
		g, err := step(10+n, s, parent+"/"+id(10+n))
		if err != nil || g.Team != "payments" || !slices.Equal(g.VolumeNames, []string{id(99)}) {
			t.Errorf("step %d: %+v, %v", n, g, err)
		}
	}
	for name, tt := range map[string]struct {
		s      *served
		cgroup string
	}{
		"on nothing that is known":  {alien, parent + "/" + id(20)},
		"on a part of an image":     {half, parent + "/" + id(20)},
		"without a build":           {base, "/docker/" + id(20)},
		"of a build that never was": {base, "/plimsoll/payments/build-000000000000000000000000/" + id(20)},
		"below a step":              {base, parent + "/x/" + id(20)},
		"by a path in another form": {base, parent + "//" + id(20)},
		"of its team, of no build":  {base, "/plimsoll/payments/" + id(20)},
	} {
		if g, err := step(20, tt.s, tt.cgroup); err == nil {
			t.Errorf("%s: %+v", name, g)
		}
	}
	w.rule(strings.Replace(document, "    builds: {from: allowed}\n", "", 1))
	if g, err := step(21, base, parent+"/"+id(21)); !fault.Is(err, fault.Denied) {
		t.Errorf("where nothing is built: %+v, %v", g, err)
	}
	w.rule(strings.Replace(document, "may: [run, build]", "may: [run]", 1))
	if g, err := step(21, base, parent+"/"+id(21)); !fault.Is(err, fault.Denied) {
		t.Errorf("by who may not: %+v, %v", g, err)
	}
	w.rule(document)
	must(t, os.WriteFile(filepath.Join(w.docker, "image/overlay2/imagedb/content/sha256", built.config.Encoded()), base.blobs[base.config], 0o600))
	w.engine(22, built.config)
	if g, err := w.Grant(t.Context(), &protocol.Question{Version: 1, Verb: protocol.Create, ID: id(22), State: state, Cgroup: parent + "/" + id(22)}); !fault.Is(err, fault.Untrusted) {
		t.Errorf("a config that is another image's: %+v, %v", g, err)
	}
	done()
	if g, err := step(23, base, parent+"/"+id(23)); err == nil {
		t.Errorf("after the build: %+v", g)
	}
}

// TestBuildsOnLocalImages builds on an image that no registry named, as far as the
// environment lets such images run.
func TestBuildsOnLocalImages(t *testing.T) {
	w := newWorld(t)
	base := w.registry.add(t, app, "layer")
	built := w.registry.add(t, app, "layer", "run")
	delete(w.registry.tags, app)
	w.registry.tags["docker:"+string(base.config)] = base
	locals := strings.Replace(document, "    builds:", "    local: allow\n    builds:", 1)
	w.rule(locals)
	parent, done, err := w.Building(agent.Build{Team: "payments", Caller: "alice"})
	must(t, err)
	defer done()
	step := func(n int, s *served) error {
		w.engine(n, s.config)
		w.engineImage(s)
		_, err := w.Grant(t.Context(), &protocol.Question{Version: 1, Verb: protocol.Create, ID: id(n), State: state, Cgroup: parent + "/" + id(n)})
		return err
	}
	if err := step(1, base); err == nil || !strings.Contains(err.Error(), "stands on no image that is known here") {
		t.Errorf("before it was judged: %v", err)
	}
	w.judge(agent.Question{Config: base.config, Action: policy.ActionBuild})
	for n, s := range []*served{base, built} {
		if err := step(2+n, s); err != nil {
			t.Errorf("step %d: %v", n, err)
		}
	}
	w.rule(document)
	if err := step(4, built); !fault.Is(err, fault.Denied) {
		t.Errorf("where local images are denied: %v", err)
	}
}

func TestSystemdSlices(t *testing.T) {
	w := newWorld(t)
	w.config.Systemd = true
	w.open()
	parent, done, err := w.Building(agent.Build{Team: "payments"})
	must(t, err)
	defer done()
	base := w.registry.add(t, app, "base")
	w.judge(agent.Question{Image: app})
	w.engine(1, base.config)
	w.engineImage(base)
	ask := func(cgroup string) error {
		_, err := w.Grant(t.Context(), &protocol.Question{Version: 1, Verb: protocol.Create, ID: id(1), State: state, Cgroup: cgroup})
		return err
	}
	if err := ask(parent + "x:docker:" + id(1)); err == nil {
		t.Error("a slice that is no build's was joined")
	}
	if err := ask(parent + ":docker:" + id(1)); !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "total") {
		t.Errorf("totals that nobody tells systemd: %v", err)
	}
	told := toldSlices{}
	w.config.Slices = told
	w.Agent = agent.New(w.config)
	if parent, done, err = w.Building(agent.Build{Team: "payments"}); err != nil {
		t.Fatal(err)
	}
	defer done()
	w.judge(agent.Question{Image: app})
	if err := ask(parent + ":docker:" + id(1)); err != nil || !strings.HasSuffix(parent, ".slice") {
		t.Errorf("parent %q: %v", parent, err)
	}
	if total := told["plimsoll-payments.slice"]; len(told) != 1 || total.CPUs != 4 || total.Memory != 1<<30 || total.PIDs != 100 {
		t.Errorf("systemd was told %+v", told)
	}
	told["fail"] = profile.Share{}
	if err := ask(parent + ":docker:" + id(1)); !errors.Is(err, errDown) {
		t.Errorf("systemd does not answer: %v", err)
	}
}

// toldSlices are the slices that were bounded. One called fail makes the next fail.
type toldSlices map[string]profile.Share

func (s toldSlices) Limit(_ context.Context, slice string, total profile.Share) error {
	if _, fail := s["fail"]; fail {
		return errDown
	}
	s[slice] = total
	return nil
}

func TestNobodysContainers(t *testing.T) {
	w := newWorld(t)
	s := w.registry.add(t, app, "layer")
	w.judge(agent.Question{Image: app})
	w.engine(1, s.config)
	w.mustNotStart(1, fault.Denied, "nobody with a team")
	w.rule(strings.Replace(document, "host: {", "host: {unattributed: minimal, ", 1))
	g := w.mustStart(1)
	if g.Team != policy.Unattributed || len(g.Profile.Capabilities) > 0 || g.Profile.Network.Mode != "none" || g.Profile.Memory != policy.Minimal().Memory {
		t.Errorf("granted %+v", g)
	}
	w.engine(2, ref.Digest("sha256:"+id(7)))
	w.mustNotStart(2, fault.Denied, "no registry named this image")
	w.mustNotStart(3, fault.Untrusted, "has no container")
}

func TestSharingNamespaces(t *testing.T) {
	w := newWorld(t)
	s := w.registry.add(t, app, "layer")
	for n := 1; n <= 4; n++ {
		w.make(n, s)
	}
	d := w.judge(agent.Question{Image: app, Config: s.config, Team: "other", Caller: policy.Caller{User: "bob"}})
	must(t, w.Created(agent.Container{ID: id(5), Team: "other", Decision: d.ID, Config: s.config}))
	w.engine(5, s.config)
	join := func(n int, others ...int) (*protocol.Grant, error) {
		q := &protocol.Question{Version: 1, Verb: protocol.Create, ID: id(n), State: state}
		for _, o := range others {
			q.Joins = append(q.Joins, id(o))
		}
		return w.Grant(t.Context(), q)
	}
	gone := func(n int) {
		t.Helper()
		must(t, w.Deleted(t.Context(), &protocol.Question{Version: 1, Verb: protocol.Deleted, ID: id(n), State: state}))
	}
	held := func() int {
		t.Helper()
		all, err := w.config.Ranges.Containers(t.Context())
		must(t, err)
		return len(all)
	}
	one := w.mustStart(1)
	two, err := join(2, 1)
	must(t, err)
	three, err := join(3, 2)
	must(t, err)
	if two.IDs != one.IDs || three.IDs != one.IDs || held() != 1 {
		t.Errorf("IDs %v, %v, %v; %d held", one.IDs, two.IDs, three.IDs, held())
	}
	for name, try := range map[string]func() (*protocol.Grant, error){
		"another team's":  func() (*protocol.Grant, error) { return join(5, 1) },
		"two at once":     func() (*protocol.Grant, error) { return join(4, 1, 2) },
		"nobody's":        func() (*protocol.Grant, error) { return join(4, 77) },
		"of another team": func() (*protocol.Grant, error) { return join(4, 5) },
	} {
		if g, err := try(); !fault.Is(err, fault.Denied) {
			t.Errorf("%s: %+v, %v", name, g, err)
		}
	}
	gone(1) // the others still have its IDs
	if held() != 1 {
		t.Error("IDs were given back that others run with")
	}
	w.open()
	gone(2)
	if held() != 1 {
		t.Error("IDs were given back that one still runs with")
	}
	gone(3)
	if held() != 0 {
		t.Error("IDs were not given back")
	}
	gone(3)
}

func TestSweep(t *testing.T) {
	w := newWorld(t)
	used := true
	w.config.InUse = func(idmap.Range) (bool, error) { return used, nil }
	w.open()
	s := w.registry.add(t, app, "layer")
	w.make(1, s)
	w.make(2, s)
	w.mustStart(1)
	w.mustStart(2)
	must(t, w.Claim("volume", "data", "payments"))
	alive := agent.Alive{Containers: map[string]bool{id(1): true}, Images: map[ref.Digest]bool{}, Things: map[string]map[string]bool{"volume": {}}}
	held := func() int {
		t.Helper()
		all, err := w.config.Ranges.Containers(t.Context())
		must(t, err)
		return len(all)
	}
	known := func(n int) bool { _, err := w.Container(id(n)); return err == nil }
	must(t, w.Sweep(t.Context(), alive)) // too early
	if !known(2) || held() != 2 {
		t.Error("what was made just now was collected")
	}
	w.later(time.Hour)
	must(t, w.Sweep(t.Context(), agent.Alive{})) // nobody knows
	if !known(2) || held() != 2 {
		t.Error("collected without knowing what there is")
	}
	must(t, w.Sweep(t.Context(), alive)) // processes still run
	if known(2) || !known(1) || held() != 2 {
		t.Errorf("known: %v, %v; %d held", known(1), known(2), held())
	}
	if _, err := w.Owner("volume", "data"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a volume that is gone: %v", err)
	}
	if _, ok := w.Image(s.config); !ok {
		t.Error("the image of a container was forgotten")
	}
	used = false
	must(t, w.Sweep(t.Context(), alive))
	if held() != 0 {
		t.Error("IDs that nobody uses were not collected")
	}
	must(t, w.Removed(id(1)))
	must(t, w.Sweep(t.Context(), alive))
	if _, ok := w.Image(s.config); ok {
		t.Error("an image that nobody has was not forgotten")
	}
}

// TestAtOnce asks for many things at the same time; it is meant for -race.
func TestAtOnce(t *testing.T) {
	w := newWorld(t)
	s := w.registry.add(t, app, "layer")
	const n = 16
	for i := range n {
		w.make(i, s)
	}
	w.later(time.Hour)
	var all sync.WaitGroup
	grants := make([]*protocol.Grant, n)
	for i := range n {
		all.Go(func() {
			g, err := w.start(i)
			if err != nil {
				t.Error(err)
				return
			}
			grants[i] = g
			if err := w.Claim("volume", id(i%4), "payments"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	ids, projects := map[idmap.Range]bool{}, map[uint32]bool{}
	for _, g := range grants {
		if g != nil {
			ids[g.IDs], projects[g.Project] = true, true
		}
	}
	if len(ids) != n || len(projects) != n {
		t.Errorf("%d ranges and %d numbers for %d containers", len(ids), len(projects), n)
	}
}
