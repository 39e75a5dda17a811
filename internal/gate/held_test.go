package gate_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/gate"
	"plimsoll/internal/image"
	"plimsoll/internal/policy"
	"plimsoll/internal/ref"
	"plimsoll/internal/verdict"
)

const config = ref.Digest("sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc")

// said returns what a decision denies, as rule and message.
func said(d *verdict.Decision) string {
	var all []string
	for _, r := range d.Reasons {
		if r.Outcome == verdict.Denied {
			all = append(all, r.Rule+": "+r.Message)
		}
	}
	return strings.Join(all, "; ")
}

func TestWhatTheEngineHolds(t *testing.T) {
	for holds, want := range map[ref.Digest]string{"": "", top: "", manifest: "", config: "image: "} {
		w := newWorld(t)
		a, err := gate.New(w.Config).Decide(t.Context(), gate.Request{Image: "registry.example.com/app:1", Environment: "production", Door: "engine", Holds: holds})
		if err != nil || a.Decision.Allowed() != (want == "") || !strings.HasPrefix(said(&a.Decision), want) {
			t.Errorf("holds %q: %s, %v", holds, said(&a.Decision), err)
		}
	}
}

func TestAnImageThatIsHeldIsNotOpened(t *testing.T) {
	w := newWorld(t)
	w.openErr = errors.New("nobody may ask")
	r, err := ref.Parse("registry.example.com/app@" + string(top))
	if err != nil {
		t.Fatal(err)
	}
	m := &image.Image{Name: "held", Reference: r, Top: v1.Descriptor{Digest: top}, Manifest: v1.Descriptor{Digest: manifest}}
	a, err := gate.New(w.Config).Decide(t.Context(), gate.Request{Image: "held", Environment: "production", Door: "runtime", Held: m, Container: "c"})
	if err != nil || !a.Decision.Allowed() || a.Image != m || a.Decision.Container != "c" || w.asked.Digest != top {
		t.Errorf("%s, %v; asked for %q", said(&a.Decision), err, w.asked)
	}
	if want := noon.Add(time.Hour); !a.Until.Equal(want) { // when the signatures expire
		t.Errorf("until %v, want %v", a.Until, want)
	}
}

func TestWhoIsAdmitted(t *testing.T) {
	for name, tt := range map[string]struct {
		q  gate.Request
		ok bool
	}{
		"a member":                    {gate.Request{Team: "payments", Action: "run", Member: policy.Caller{User: "alice"}}, true},
		"a login name":                {gate.Request{Team: "payments", Action: "run", Caller: "alice"}, true},
		"a stranger by a good name":   {gate.Request{Team: "payments", Action: "run", Caller: "alice", Member: policy.Caller{User: "mallory"}}, false},
		"a certificate called root":   {gate.Request{Team: "payments", Action: "run", Caller: "root", Member: policy.Caller{Certificate: "root"}}, false},
		"what the team may not":       {gate.Request{Team: "payments", Action: "exec", Member: policy.Caller{User: "alice"}}, false},
		"a container that is its own": {gate.Request{Team: "payments", Action: "run", Again: true}, true},
		"what it may not, again":      {gate.Request{Team: "payments", Action: "build", Again: true}, false},
		"no team":                     {gate.Request{Action: "run", Member: policy.Caller{Root: true}}, false},
		"nobody's container":          {gate.Request{Action: "run", Unattributed: true}, false},
	} {
		w := newWorld(t)
		g := gate.New(w.Config)
		reasons, p := g.Admit(tt.q)
		if (p != nil) != tt.ok || len(reasons) == 0 {
			t.Errorf("%s: %+v, %+v", name, p, reasons)
		}
		q := tt.q
		q.Image, q.Environment, q.Door = "registry.example.com/app:1", "production", "engine"
		a, err := g.Decide(t.Context(), q)
		if err != nil || a.Decision.Allowed() != tt.ok || (a.Decision.Profile != nil) != tt.ok {
			t.Errorf("%s: %s, %v", name, said(&a.Decision), err)
		}
	}
}

func TestConclude(t *testing.T) {
	good, bad := verdict.Reason{Rule: "a", Outcome: verdict.Allowed}, verdict.Reason{Rule: "b", Outcome: verdict.Denied}
	for name, tt := range map[string]struct {
		reasons []verdict.Reason
		err     error
		ok      bool
	}{
		"allowed":               {[]verdict.Reason{good}, nil, true},
		"denied":                {[]verdict.Reason{good, bad}, nil, false},
		"no reason":             {nil, nil, false},
		"it cannot be recorded": {[]verdict.Reason{good}, errors.New("disk full"), false},
	} {
		w := newWorld(t)
		w.recordErr = tt.err
		d := verdict.Decision{Door: "engine", Reasons: tt.reasons, Outcome: verdict.Allowed}
		if err := gate.New(w.Config).Conclude(t.Context(), &d); err != nil || d.Allowed() != tt.ok || d.ID == "" || d.PolicyHash == "" || !d.Time.Equal(noon) {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}
