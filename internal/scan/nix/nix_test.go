package nix

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan/scantest"
)

const hash = "nix/store/8p4cznkx9j1qfy8b6m0r2wd3v5hl7sga-"

func TestParse(t *testing.T) {
	for in, want := range map[string]string{
		"openssl-3.0.12/bin/openssl":          "openssl 3.0.12",
		"openssl-3.0.12-bin/bin/openssl":      "openssl 3.0.12",
		"gcc-13.2.0-libgcc/lib/libgcc_s.so.1": "gcc 13.2.0",
		"bash-interactive-5.2p26/bin/bash":    "bash-interactive 5.2p26",
		"perl5.38.2-JSON-4.10/bin/x":          "perl5.38.2-JSON 4.10",
		"glibc-2.38-44/lib/libc.so.6":         "glibc 2.38-44",
		"foo-unstable-2023-01-01/bin/x":       "foo-unstable 2023-01-01",
		"tzdata-2024a/bin/zdump":              "tzdata 2024a",
		"system-path/bin/ls":                  "",
		"bash-5.2.drv/bin/x":                  "",
		"bash-5.2":                            "",
		"x-/bin/x":                            "",
		"x-_1/bin/x":                          "",
		"-1/bin/x":                            "",
	} {
		name, version, ok := parse(hash + in)
		got := strings.TrimSpace(name + " " + version)
		if !ok {
			got = ""
		}
		if got != want {
			t.Errorf("parse(%q) = %q, want %q", in, got, want)
		}
	}
	for _, p := range []string{"nix/store/short-1/x", "nix/store/.links/0", "nix/store/8p4cznkx9j1qfy8b6m0r2wd3v5hl7seu-a-1/bin/a"} {
		if name, version, ok := parse(p); ok {
			t.Errorf("%q is taken for %s %s", p, name, version)
		}
	}
}

func TestExtract(t *testing.T) {
	path := hash + "openssl-3.0.12-bin/bin/openssl"
	found, err := Extractor{}.Extract(t.Context(), scantest.File(path, nil))
	if err != nil {
		t.Fatal(err)
	}
	want := inventory.Found{
		Components: []inventory.Component{{Kind: inventory.OS, Type: inventory.Nix, Name: "openssl", Version: "3.0.12"}},
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
}

func TestWants(t *testing.T) {
	for _, test := range []struct {
		path string
		mode int64
		want bool
	}{
		{hash + "openssl-3.0.12/bin/openssl", 0o555, true},
		{hash + "openssl-3.0.12/lib/libssl.so.3", 0o444, true},
		{hash + "openssl-3.0.12/share/x", 0o444, false},
		{hash + "system-path/bin/x", 0o555, false},
		{"usr/" + hash + "openssl-3.0.12/bin/openssl", 0o555, false},
	} {
		if got := (Extractor{}).Wants(image.Entry{Path: test.path, Mode: test.mode}, nil); got != test.want {
			t.Errorf("Wants(%q, %o) = %v", test.path, test.mode, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(hash + "openssl-3.0.12-bin/bin/openssl")
	f.Fuzz(func(t *testing.T, p string) {
		if name, version, ok := parse(p); ok && (name == "" || version == "" || !strings.Contains(p, name+"-"+version)) {
			t.Errorf("parse(%q) = %q %q", p, name, version)
		}
	})
}
