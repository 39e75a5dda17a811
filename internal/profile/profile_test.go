package profile_test

import (
	"errors"
	"fmt"
	"testing"

	"plimsoll/internal/fault"
	"plimsoll/internal/profile"
)

func TestParseBytes(t *testing.T) {
	for in, want := range map[string]int64{"0B": 0, "1B": 1, "512MiB": 512 << 20, "16GiB": 16 << 30, "3KiB": 3 << 10, "1TiB": 1 << 40} {
		if got, err := profile.ParseBytes(in); err != nil || got != want {
			t.Errorf("ParseBytes(%q) = %d, %v; want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "1", "1GB", "1G", "-1MiB", "1.5GiB", " 1MiB", "1 MiB", "999999999999TiB", "1gib", "0x10MiB"} {
		if got, err := profile.ParseBytes(in); !fault.Is(err, fault.Invalid) {
			t.Errorf("ParseBytes(%q) = %d, %v; want it refused", in, got, err)
		}
	}
}

func TestParseMount(t *testing.T) {
	for in, want := range map[string]profile.Mount{
		"/srv/data":       {Path: "/srv/data"},
		"/srv/data:ro":    {Path: "/srv/data"},
		"/srv/data/**:rw": {Path: "/srv/data/**", Writable: true},
	} {
		if got, err := profile.ParseMount(in); err != nil || got != want {
			t.Errorf("ParseMount(%q) = %+v, %v; want %+v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "srv", "/", "/**", "/srv/../etc", "/srv/*", "/srv/**/x", "/srv/", "/srv:rx", "/srv:rw:ro", "/srv/***"} {
		if got, err := profile.ParseMount(in); !fault.Is(err, fault.Invalid) {
			t.Errorf("ParseMount(%q) = %+v, %v; want it refused", in, got, err)
		}
	}
}

func valid() profile.Profile {
	return profile.Profile{
		CPUs: 2, Memory: 1 << 30, PIDs: 512, IOWeight: 100, Runtime: "runc",
		Network:      profile.Network{Mode: "bridge", Publish: []string{"80", "8080-8090"}, Egress: []string{"10.0.0.0/8:5432", "api.example.com:443", "[2001:db8::]:1"}},
		Capabilities: []string{"NET_BIND_SERVICE"},
		Mounts:       []profile.Mount{{Path: "/srv/**"}},
		Devices:      []string{"/dev/null"},
	}
}

func TestValidate(t *testing.T) {
	p := valid()
	if err := p.Validate(); err != nil {
		t.Fatalf("a valid profile was refused: %v", err)
	}
	tests := []struct {
		field string
		spoil func(*profile.Profile)
	}{
		{"cpus", func(p *profile.Profile) { p.CPUs = 0 }},
		{"memory", func(p *profile.Profile) { p.Memory = 0 }},
		{"pids", func(p *profile.Profile) { p.PIDs = 0 }},
		{"pids", func(p *profile.Profile) { p.PIDs = 1 << 40 }},
		{"io.weight", func(p *profile.Profile) { p.IOWeight = 1001 }},
		{"storage", func(p *profile.Profile) { p.Storage = -1 }},
		{"network.mode", func(p *profile.Profile) { p.Network.Mode = "host" }},
		{"network", func(p *profile.Profile) { p.Network.Mode = "none" }},
		{"network.publish", func(p *profile.Profile) { p.Network.Publish = []string{"90-80"} }},
		{"network.publish", func(p *profile.Profile) { p.Network.Publish = []string{"70000"} }},
		{"network.egress", func(p *profile.Profile) { p.Network.Egress = []string{"api.example.com"} }},
		{"network.egress", func(p *profile.Profile) { p.Network.Egress = []string{"*.example.com:443"} }},
		{"capabilities.add", func(p *profile.Profile) { p.Capabilities = []string{"CAP_SYS_ADMIN"} }},
		{"mounts", func(p *profile.Profile) { p.Mounts[0].Path = "/" }},
		{"devices", func(p *profile.Profile) { p.Devices[0] = "/dev/../etc/shadow" }},
		{"runtime", func(p *profile.Profile) { p.Runtime = "../runc" }},
	}
	for _, tt := range tests {
		p := valid()
		tt.spoil(&p)
		err := p.Validate()
		var f *profile.FieldError
		if !errors.As(err, &f) || f.Field != tt.field || !fault.Is(err, fault.Invalid) {
			t.Errorf("got %v, want field %q refused", err, tt.field)
		}
	}
}

func FuzzParseBytes(f *testing.F) {
	f.Add("16GiB")
	f.Add("0B")
	f.Fuzz(func(t *testing.T, s string) {
		n, err := profile.ParseBytes(s)
		if err != nil {
			return
		}
		if again, err := profile.ParseBytes(fmt.Sprintf("%dB", n)); n < 1e12 && (err != nil || again != n) || n < 0 {
			t.Errorf("ParseBytes(%q) = %d, which is read as %d, %v", s, n, again, err)
		}
	})
}

func ExampleParseBytes() {
	n, _ := profile.ParseBytes("16GiB")
	fmt.Println(n)
	// Output: 17179869184
}
