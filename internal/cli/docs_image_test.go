//go:build linux

package cli_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// pageImages makes the images of the pages as OCI layouts below dir: app, with
// holes that the carried advisories know, and app2, without them; and fleet, which
// has something of everything. If shell is set, the last layer of app and app2
// has one of this machine, so that a page can show what a container sees; else it
// is the same on every machine.
func pageImages(t *testing.T, dir string, shell bool) {
	t.Helper()
	base := t.TempDir()
	if shell {
		for _, program := range []string{"sh", "bash", "id", "cat", "chmod", "ls", "touch", "dd", "sleep"} {
			withLibraries(t, base, program)
		}
	} else {
		var tide strings.Builder
		for hour := range 8760 {
			fmt.Fprintf(&tide, "%d %d\n", hour, hour*hour%977)
		}
		write(t, base, "srv/tide.txt", tide.String())
	}
	for name, version := range map[string]string{"app": "3.0.20-1~deb12u2", "app2": "3.0.22-1~deb12u2"} {
		lodash := map[string]string{"app": "4.17.4", "app2": "4.17.21"}[name]
		release, modules := t.TempDir(), t.TempDir()
		write(t, release, "etc/os-release", "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n")
		write(t, release, "var/lib/dpkg/status", "Package: libssl3\nStatus: install ok installed\nArchitecture: amd64\nSource: openssl\nVersion: "+version+"\n")
		write(t, modules, "app/node_modules/lodash/package.json", `{"name": "lodash", "version": "`+lodash+`", "license": "MIT"}`+"\n")
		if err := writeLayout(filepath.Join(dir, name), release, modules, base); err != nil {
			t.Fatal(err)
		}
	}
	fleet(t, filepath.Join(dir, "fleet"))
	advisories, err := filepath.Abs("../../testdata/advisories")
	if err == nil {
		err = os.Symlink(advisories, filepath.Join(dir, "advisories"))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

// withLibraries copies a program of this machine into dir/bin, and the libraries
// that it is linked with to where it looks for them.
func withLibraries(t *testing.T, dir, program string) {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatal(err)
	}
	put := func(from, to string) {
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, to, string(b))
	}
	put(path, "bin/"+program)
	linked, err := exec.CommandContext(t.Context(), "ldd", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	for word := range strings.FieldsSeq(string(linked)) {
		if filepath.IsAbs(word) {
			put(word, word)
		}
	}
}
