package debian

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseURIs(t *testing.T) {
	got, err := parseURIs([]byte(`'http://m.example/pool/p/perl/perl_5.36.0-7+deb12u3_amd64.deb' perl_5.36.0-7+deb12u3_amd64.deb 239204 MD5Sum:2e
'http://m.example/pool/d/d/python3-django_3%253a3.2.19-1_all.deb' python3-django_3%3a3.2.19-1_all.deb 2718000 SHA256:aa
Need to get 3 kB of archives.
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []Package{
		{Name: "perl", Version: "5.36.0-7+deb12u3", Architecture: "amd64", File: "perl_5.36.0-7+deb12u3_amd64.deb", Size: 239204},
		{Name: "python3-django", Version: "3:3.2.19-1", Architecture: "all", File: "python3-django_3%3a3.2.19-1_all.deb", Size: 2718000},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("packages (-want +got):\n%s", diff)
	}
}

func TestMirrorWords(t *testing.T) {
	script := "my $mirror    = 'http://m.example/debian';\n my $secmirror = \"https://s.example/debian-security\";\n $mirror = 'http://m.example/ubuntu';\n"
	var got []string
	for _, m := range mirrorWords.FindAllStringSubmatch(script, -1) {
		got = append(got, m[1]+" "+m[2])
	}
	if diff := cmp.Diff([]string{"mirror http://m.example/debian", "secmirror https://s.example/debian-security"}, got); diff != "" {
		t.Errorf("mirrors (-want +got):\n%s", diff)
	}
}

// TestRoot makes a package and an archive of it on disk and lets the real apt
// resolve, fetch and unpack it. The archive is trusted because its source says
// so, which ours never do.
func TestRoot(t *testing.T) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		t.Skip("this machine has no apt")
	}
	m, err := ThisMachine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	archive := t.TempDir()
	index := deb(t, archive, "hull", "Depends: keel") + deb(t, archive, "keel", "")
	put(t, archive, "Packages", index)
	source := Source{URIs: []string{"copy:" + archive}, Suites: []string{"./"}}
	source.SignedBy = "\nTrusted: yes\nArchitectures: " + m.Architecture
	var said []string
	say := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	cache := t.TempDir()
	r, err := NewRoot(t.Context(), cache, "test", []Source{source}, say)
	if err != nil {
		t.Fatal(err)
	}
	packages, err := r.Resolve(t.Context(), "hull")
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) != 2 {
		t.Fatalf("hull and what it needs are %v", packages)
	}
	dir := t.TempDir()
	if err := r.Unpack(t.Context(), packages, dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"usr/bin/hull", "bin/keel"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	before := len(said)
	if r, err = NewRoot(t.Context(), cache, "test", []Source{source}, say); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Download(t.Context(), packages); err != nil || len(said) != before {
		t.Errorf("the second time it said %q, %v", said[before:], err)
	}
	if _, err := r.Resolve(t.Context(), "sail"); err == nil || !strings.Contains(err.Error(), "sail") {
		t.Errorf("a package that is not there: %v", err)
	}
}

// deb makes a package with one program in /bin and returns its stanza in an
// index.
func deb(t *testing.T, archive, name, field string) string {
	t.Helper()
	dir := t.TempDir()
	put(t, dir, "bin/"+name, "#!/bin/sh\n")
	if field != "" {
		field += "\n"
	}
	control := fmt.Sprintf("Package: %s\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\n%sDescription: a test\n", name, field)
	put(t, dir, "DEBIAN/control", control)
	file := name + "_1_all.deb"
	if out, err := exec.CommandContext(t.Context(), "dpkg-deb", "--build", "--root-owner-group", dir, filepath.Join(archive, file)).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	info, err := os.Stat(filepath.Join(archive, file))
	if err != nil {
		t.Fatal(err)
	}
	sum, err := exec.CommandContext(t.Context(), "sha256sum", filepath.Join(archive, file)).Output()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%sFilename: ./%s\nSize: %d\nSHA256: %s\n\n", control, file, info.Size(), strings.Fields(string(sum))[0])
}
