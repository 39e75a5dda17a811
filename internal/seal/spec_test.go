package seal_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
	"plimsoll/internal/idmap"
	"plimsoll/internal/profile"
	"plimsoll/internal/seal"
)

var update = flag.Bool("update", false, "write the golden files")

// TestSpec compares whole specs, but for the filter of system calls, which has
// tests of its own.
func TestSpec(t *testing.T) {
	rich := profile.Profile{
		CPUs: 1.5, Memory: 1 << 30, PIDs: 512, IOWeight: 100, Runtime: "crun", SetuidFiles: true,
		Network: profile.Network{Mode: "none"}, Capabilities: []string{"CHOWN", "NET_BIND_SERVICE"},
	}
	poor := profile.Profile{CPUs: 0.25, Memory: 64 << 20, PIDs: 32, Runtime: "runc", Network: profile.Network{Mode: "none"}}
	ids := idmap.Range{Base: 1879048192, Size: idmap.SlotSize}
	tests := map[string]struct {
		request   seal.Request
		situation seal.Situation
	}{
		"poor": {
			seal.Request{Team: "payments", Profile: poor, Image: seal.Image{Cmd: []string{"/app", "--serve"}}},
			seal.Situation{ID: "0123456789abcdef", IDs: ids, Identity: seal.Identity{Home: "/root"}, Mappings: true, Arch: "amd64"},
		},
		"rich": {
			seal.Request{
				Team: "search", Profile: rich, Args: []string{"now"}, Env: []string{"A=2"}, Workdir: "/srv/",
				Image:  seal.Image{Entrypoint: []string{"/app"}, Cmd: []string{"never"}, Env: []string{"A=1", "PATH=/bin"}, WorkingDir: "/x"},
				Mounts: []seal.Mount{{Source: "/srv/a", Target: "/a"}, {Source: "/srv/b", Target: "/b", ReadOnly: true}},
			},
			seal.Situation{ID: "fedc", IDs: ids, Identity: seal.Identity{UID: 1000, GID: 100, Groups: []uint32{10}, Home: "/home/ann"}, Swap: true, Arch: "arm64"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if err := tt.request.Validate(); err != nil {
				t.Fatal(err)
			}
			spec, err := seal.Spec(&tt.request, tt.situation)
			if err != nil {
				t.Fatal(err)
			}
			if spec.Linux.Seccomp == nil {
				t.Error("no filter of system calls")
			}
			spec.Linux.Seccomp = nil
			got, err := json.MarshalIndent(spec, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", "spec-"+name+".json")
			if *update {
				if err := os.WriteFile(golden, append(got, '\n'), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(bytes.TrimSpace(want)), string(got)); diff != "" {
				t.Errorf("spec (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEnforceable(t *testing.T) {
	tests := map[string]func(*profile.Profile){
		"host":             func(p *profile.Profile) { p.Host = true },
		"runtime":          func(p *profile.Profile) { p.Runtime = "runsc" },
		"bridge":           func(p *profile.Profile) { p.Network.Mode = "bridge" },
		"no mode":          func(p *profile.Profile) { p.Network.Mode = "" },
		"publish":          func(p *profile.Profile) { p.Network.Publish = []string{"80"} },
		"egress":           func(p *profile.Profile) { p.Network.Egress = []string{"a:1"} },
		"devices":          func(p *profile.Profile) { p.Devices = []string{"/dev/fuse"} },
		"io weight":        func(p *profile.Profile) { p.IOWeight = 5 },
		"no cpus":          func(p *profile.Profile) { p.CPUs = 0 },
		"no memory":        func(p *profile.Profile) { p.Memory = 0 },
		"no pids":          func(p *profile.Profile) { p.PIDs = 0 },
		"small storage":    func(p *profile.Profile) { p.Storage = 1 },
		"small total":      func(p *profile.Profile) { p.Total.Memory = p.Memory - 1 },
		"uncountable":      func(p *profile.Profile) { p.Total.Storage = 1 << 40 },
		"lower-case power": func(p *profile.Profile) { p.Capabilities = []string{"chown"} },
	}
	base := profile.Profile{CPUs: 1, Memory: 64 << 20, PIDs: 10, Runtime: "runc", Network: profile.Network{Mode: "none"}}
	if err := seal.Enforceable(&base); err != nil {
		t.Fatal(err)
	}
	for name, edit := range tests {
		p := base
		edit(&p)
		if err := seal.Enforceable(&p); !fault.Is(err, fault.Denied) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRequestRefuses(t *testing.T) {
	tests := map[string]func(*seal.Request){
		"team":         func(r *seal.Request) { r.Team = "../x" },
		"no command":   func(r *seal.Request) { r.Image.Entrypoint = nil },
		"environment":  func(r *seal.Request) { r.Env = []string{"novalue"} },
		"workdir":      func(r *seal.Request) { r.Workdir = "/proc/self/fd/7" },
		"image's dir":  func(r *seal.Request) { r.Image.WorkingDir = "/x/../proc/self/fd/8" },
		"relative dir": func(r *seal.Request) { r.Workdir = "x" },
		"same target": func(r *seal.Request) {
			r.Mounts = []seal.Mount{{Source: "/a", Target: "/m"}, {Source: "/b", Target: "/m"}}
		},
	}
	for name, edit := range tests {
		r := seal.Request{Team: "t", Profile: profile.Profile{CPUs: 1, Memory: 64 << 20, PIDs: 10, Runtime: "runc", Network: profile.Network{Mode: "none"}}, Image: seal.Image{Entrypoint: []string{"/a"}}}
		edit(&r)
		if err := r.Validate(); !fault.Is(err, fault.Usage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseMount(t *testing.T) {
	got, err := seal.ParseMount("/srv/a:/b:ro")
	if diff := cmp.Diff(seal.Mount{Source: "/srv/a", Target: "/b", ReadOnly: true}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, bad := range []string{"", "/a", "a:/b", "/a:b", "/a:/b:rx", "/a:/b:ro:z", "/a/../b:/c", "/a:/", "/a:/proc", "/a:/sys/x", "/a:/dev/null", "/a:/b/"} {
		if m, err := seal.ParseMount(bad); !fault.Is(err, fault.Usage) {
			t.Errorf("%q gave %+v, %v", bad, m, err)
		}
	}
}

func TestJudge(t *testing.T) {
	allowed := []profile.Mount{{Path: "/srv/pay/**", Writable: true}, {Path: "/srv/shared/**"}, {Path: "/srv/one.conf"}, {Path: "/run/**", Writable: true}, {Path: "/data/**", Writable: true}}
	tests := []struct {
		real     string
		readOnly bool
		ok       bool
	}{
		{"/srv/pay", false, true},
		{"/srv/pay/x/y", false, true},
		{"/srv/pay", true, true},
		{"/srv/payroll", false, false},
		{"/srv", true, false},
		{"/", true, false},
		{"/srv/shared/x", false, false},
		{"/srv/shared/x", true, true},
		{"/srv/one.conf", true, true},
		{"/srv/one.conf/x", true, false},
		{"/run", true, false},
		{"/run/docker.sock", true, false},
		{"/run/plimsoll/seal", true, false},
		{"/run/app", false, true},
		{"/data/state/layers/x", true, false},
		{"/data", true, false},
		{"/srv/pay/x (deleted)", true, false},
		{"x", true, false},
	}
	for _, tt := range tests {
		readOnly, err := seal.Judge(tt.real, seal.Mount{Source: "/asked", Target: "/m", ReadOnly: tt.readOnly}, allowed, []string{"/data/state"})
		if (err == nil) != tt.ok || (err != nil && !fault.Is(err, fault.Denied)) || (err == nil && readOnly != tt.readOnly) {
			t.Errorf("%s, read-only %v: %v, %v", tt.real, tt.readOnly, readOnly, err)
		}
	}
}

func TestIdentify(t *testing.T) {
	passwd := []byte("root:x:0:0:root:/root:/bin/sh\nann:x:1000:100::/home/ann:/bin/sh\nbig:x:70000:1::/:\nbroken\n")
	group := []byte("users:x:100:\nwheel:x:10:bob,ann\n77:x:5:\n")
	tests := []struct {
		spec string
		want seal.Identity
		kind fault.Kind
	}{
		{"", seal.Identity{Home: "/root"}, 0},
		{"ann", seal.Identity{UID: 1000, GID: 100, Groups: []uint32{10}, Home: "/home/ann"}, 0},
		{"1000", seal.Identity{UID: 1000, GID: 100, Groups: []uint32{10}, Home: "/home/ann"}, 0},
		{"ann:wheel", seal.Identity{UID: 1000, GID: 10, Home: "/home/ann"}, 0},
		{"4242:4243", seal.Identity{UID: 4242, GID: 4243, Home: "/"}, 0},
		{"bob", seal.Identity{}, fault.NotFound},
		{"ann:none", seal.Identity{}, fault.NotFound},
		{"65536", seal.Identity{}, fault.NotFound},
		{"-1", seal.Identity{}, fault.NotFound},
		{"big", seal.Identity{}, fault.Invalid},
	}
	for _, tt := range tests {
		got, err := seal.Identify(tt.spec, passwd, group)
		if err != nil && fault.Is(err, tt.kind) {
			continue
		}
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%q: %v (-want +got):\n%s", tt.spec, err, diff)
		}
	}
}

func FuzzIdentify(f *testing.F) {
	f.Add("ann:users", []byte("ann:x:1000:100::/home/ann:/bin/sh\n"), []byte("users:x:100:ann\n"))
	f.Add("0", []byte("::::::\n"), []byte(":::"))
	f.Fuzz(func(t *testing.T, spec string, passwd, group []byte) {
		id, err := seal.Identify(spec, passwd, group)
		if err == nil && (id.UID >= idmap.SlotSize || id.GID >= idmap.SlotSize || !strings.HasPrefix(id.Home, "/")) {
			t.Errorf("%q gave %+v", spec, id)
		}
	})
}

func FuzzParseMount(f *testing.F) {
	f.Add("/srv/a:/b:ro")
	f.Fuzz(func(t *testing.T, s string) {
		if m, err := seal.ParseMount(s); err == nil && (filepath.Clean(m.Source) != m.Source || m.Target == "/" || strings.HasPrefix(m.Target, "/proc")) {
			t.Errorf("%q gave %+v", s, m)
		}
	})
}

// TestWhatCannotBePassed holds what a program would not be given as it was asked
// for: cut off, altered on the way, or refused by the kernel after all was made.
func TestWhatCannotBePassed(t *testing.T) {
	least := profile.Profile{CPUs: 1, Memory: 64 << 20, PIDs: 8, Runtime: "runc", Network: profile.Network{Mode: "none"}}
	for name, s := range map[string]string{"NUL": "a\x00b", "not UTF-8": "\xff", "too long": strings.Repeat("x", 128<<10)} {
		for where, edit := range map[string]func(*seal.Request){
			"argument":            func(r *seal.Request) { r.Args = []string{"x", s} },
			"the image's command": func(r *seal.Request) { r.Image.Cmd = []string{"/x", s} },
			"variable":            func(r *seal.Request) { r.Env = []string{"A=" + s} },
			"the image's folder":  func(r *seal.Request) { r.Image.WorkingDir = "/" + s },
		} {
			r := seal.Request{Team: "t", Profile: least, Image: seal.Image{Cmd: []string{"/x"}}}
			if err := r.Validate(); err != nil {
				t.Fatal(err)
			}
			edit(&r)
			if err := r.Validate(); !fault.Is(err, fault.Usage) || len(err.Error()) > 1000 {
				t.Errorf("%s in %s: %v", name, where, err)
			}
		}
	}
}
