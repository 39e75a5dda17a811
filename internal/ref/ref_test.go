package ref_test

import (
	"fmt"
	"strings"
	"testing"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

func TestParse(t *testing.T) {
	digest := "sha256:" + strings.Repeat("a", 64)
	tests := []struct{ in, want string }{
		{"debian", "docker.io/library/debian:latest"},
		{"debian:12", "docker.io/library/debian:12"},
		{"team/app", "docker.io/team/app:latest"},
		{"Registry.Example.com:443/team/app:1", "registry.example.com/team/app:1"},
		{"localhost:5000/app:v1@" + digest, "localhost:5000/app:v1@" + digest},
		{"localhost:5000/app@" + digest, "localhost:5000/app@" + digest},
		{"[::1]:5000/app:v1", "[::1]:5000/app:v1"},
		{"[::1]:443/app:v1", "[::1]/app:v1"},
		{"team:443/app:1", "team:443/app:1"},
		{"Docker.io:443/debian", "docker.io/library/debian:latest"},
	}
	for _, tt := range tests {
		got, err := ref.Parse(tt.in)
		if err != nil || got.String() != tt.want {
			t.Errorf("Parse(%q) = %q, %v; want %q", tt.in, got, err, tt.want)
		}
	}
	for _, in := range []string{"", "Team/App", "Team/app", "a b", "app@sha256:12", "app:" + strings.Repeat("x", 200), "../app"} {
		if got, err := ref.Parse(in); !fault.Is(err, fault.Invalid) {
			t.Errorf("Parse(%q) = %q, %v; want an invalid name", in, got, err)
		}
	}
}

func TestPattern(t *testing.T) {
	tests := []struct {
		pattern, gun string
		want         bool
	}{
		{"registry.example.com/payments/**", "registry.example.com/payments/api", true},
		{"registry.example.com/payments/**", "registry.example.com/payments/api/v2", true},
		{"registry.example.com/payments/**", "registry.example.com/payments-evil/api", false},
		{"registry.example.com/payments/*", "registry.example.com/payments/api/v2", false},
		{"registry.example.com/*/api", "registry.example.com/payments/api", true},
		{"**/legacy", "registry.example.com/a/b/legacy", true},
		{"**/legacy", "registry.example.com/a/legacy/b", false},
		{"registry.example.com/app", "registry.example.com.evil/app", false},
	}
	for _, tt := range tests {
		p, err := ref.ParsePattern(tt.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Match(ref.GUN(tt.gun)); got != tt.want {
			t.Errorf("%q matches %q: %v, want %v", tt.pattern, tt.gun, got, tt.want)
		}
	}
	for _, bad := range []string{"", "a//b", "pay*/x", "Registry/x"} {
		if _, err := ref.ParsePattern(bad); err == nil {
			t.Errorf("pattern %q was taken", bad)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("debian:12")
	f.Add("Team/app")
	f.Add("team:443/app")
	f.Add("Docker.io:443/debian")
	f.Add("LOCALHOST:443/app")
	f.Add("[::1]:443/app")
	f.Add("localhost:5000/app@sha256:" + strings.Repeat("a", 64))
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ref.Parse(s)
		if err != nil {
			return
		}
		again, err := ref.Parse(r.String())
		if err != nil || again != r {
			t.Errorf("Parse(%q) = %q, which parses to %q, %v", s, r, again, err)
		}
	})
}

func ExampleMirrors() {
	m := ref.Mirrors{"mirror.example.net/payments/**": "registry.example.com/payments/**"}
	r, _ := ref.Parse("mirror.example.net/payments/api:1")
	fmt.Println(m.GUN(r))
	// Output: registry.example.com/payments/api
}
