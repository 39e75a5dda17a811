package rewrite_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/runtime-spec/specs-go"

	"plimsoll/internal/fault"
	"plimsoll/internal/seal/rewrite"
)

func TestExecGetsWhatTheContainerHas(t *testing.T) {
	g, s := grant(), situation()
	for name, process := range captures(t, ".process.json") {
		out, limits, err := rewrite.Process(process, g, s)
		if err != nil {
			t.Fatal(name, err)
		}
		var p specs.Process
		if err := json.Unmarshal(out, &p); err != nil {
			t.Fatal(name, err)
		}
		if err := harmlessProcess(&p, g, s); err != nil {
			t.Error(name, err)
		}
		if len(limits) > 0 {
			t.Error(name, limits)
		}
	}
	out, _, err := rewrite.Process(captured(t, "execprivileged.process"), g, s)
	if err != nil {
		t.Fatal(err)
	}
	var p specs.Process
	if err := json.Unmarshal(out, &p); err != nil {
		t.Fatal(err)
	}
	want := []string{"CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_SETUID"}
	if d := cmp.Diff(want, p.Capabilities.Bounding); d != "" {
		t.Error(d)
	}
	if p.User.UID != 7 || p.Cwd != "/tmp" || p.Args[0] != "true" || p.Env[2] != "A=b" {
		t.Errorf("%+v", p)
	}
}

func TestCapabilitiesOfEverySet(t *testing.T) {
	g := grant()
	process := func(set string) []byte {
		return []byte(`{"cwd":"/","capabilities":{"` + set + `":["CAP_SYS_ADMIN","CAP_KILL","KILL","cap_kill","CAP_KILL","CAP_",""]}}`)
	}
	for _, set := range []string{"bounding", "effective", "inheritable", "permitted", "ambient"} {
		out, _, err := rewrite.Process(process(set), g, situation())
		if err != nil {
			t.Fatal(err)
		}
		var got struct{ Capabilities map[string][]string }
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatal(err)
		}
		want := map[string][]string{"bounding": {}, "effective": {}, "inheritable": {}, "permitted": {}, "ambient": {}}
		want[set] = []string{"CAP_KILL"}
		if d := cmp.Diff(want, got.Capabilities); d != "" {
			t.Error(d)
		}
	}
}

func TestNewPrivileges(t *testing.T) {
	for _, tt := range []struct {
		asked string
		files bool
		want  bool
	}{{"true", false, true}, {"false", false, true}, {"true", true, true}, {"false", true, false}, {"null", true, false}} {
		g := grant()
		g.Profile.SetuidFiles = tt.files
		out, _, err := rewrite.Process([]byte(`{"cwd":"/","noNewPrivileges":`+tt.asked+`}`), g, situation())
		if err != nil {
			t.Fatal(err)
		}
		var p specs.Process
		if err := json.Unmarshal(out, &p); err != nil {
			t.Fatal(err)
		}
		if p.NoNewPrivileges != tt.want {
			t.Errorf("asked %s, setuid files %v: %v", tt.asked, tt.files, p.NoNewPrivileges)
		}
	}
}

func TestLimitsOfAProcessAreTheRuntimesToSet(t *testing.T) {
	plan, spec := create(t, captured(t, "ulimit.config"), grant(), situation())
	want := []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Hard: 200, Soft: 100}, {Type: "RLIMIT_NPROC", Hard: 50, Soft: 50}}
	if d := cmp.Diff(want, plan.Rlimits); d != "" {
		t.Error(d)
	}
	if len(spec.Process.Rlimits) > 0 {
		t.Error(spec.Process.Rlimits)
	}
	_, limits, err := rewrite.Process([]byte(`{"cwd":"/","rlimits":[{"type":"RLIMIT_RTPRIO","hard":99,"soft":99},{"type":"RLIMIT_CORE","hard":18446744073709551615,"soft":0}]}`), grant(), situation())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]specs.POSIXRlimit{{Type: "RLIMIT_CORE", Hard: 1<<64 - 1}}, limits); d != "" {
		t.Error(d)
	}
}

func TestProcessesThatAreNone(t *testing.T) {
	for _, p := range []string{
		``, `null`, `[]`, `{}`, `{"cwd":1}`, `{"cwd":"/","Cwd":"/proc"}`, `{"cwd":"/","capabilities":[]}`, `{"cwd":"/","user":"root"}`,
		`{"cwd":"/","noNewPrivileges":"true"}`, `{"cwd":"/","oomScoreAdj":"x"}`, `{"cwd":"/","rlimits":{}}`, `{"cwd":"/","rlimits":[1]}`,
		`{"cwd":"/","rlimits":[{"type":"RLIMIT_CPU","hard":-1,"soft":-1}]}`,
	} {
		if _, _, err := rewrite.Process([]byte(p), grant(), situation()); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", p, err)
		}
	}
}
