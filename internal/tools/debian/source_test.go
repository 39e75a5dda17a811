package debian

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSources(t *testing.T) {
	etc := t.TempDir()
	put(t, etc, "sources.list", `# a comment
deb http://mirror.example/debian bookworm main contrib # and another
deb-src http://mirror.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/k.gpg] http://security.example/debian-security bookworm-security main
deb
`)
	put(t, etc, "sources.list.d/more.sources", `Types: deb deb-src
URIs: http://one.example/debian http://two.example/debian
# between
Suites: trixie trixie-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 -----END PGP PUBLIC KEY BLOCK-----

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: trixie

Types: deb-src
URIs: http://source.example/debian
Suites: trixie
`)
	put(t, etc, "sources.list.d/old.list.save", "deb http://saved.example/debian bookworm main\n")
	got, err := Sources(etc)
	if err != nil {
		t.Fatal(err)
	}
	want := []Source{
		{URIs: []string{"http://mirror.example/debian"}, Suites: []string{"bookworm"}, Components: []string{"main", "contrib"}},
		{URIs: []string{"http://security.example/debian-security"}, Suites: []string{"bookworm-security"}, Components: []string{"main"}, SignedBy: "/usr/share/keyrings/k.gpg"},
		{
			URIs: []string{"http://one.example/debian", "http://two.example/debian"}, Suites: []string{"trixie", "trixie-updates"}, Components: []string{"main"},
			SignedBy: "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n -----END PGP PUBLIC KEY BLOCK-----",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sources (-want +got):\n%s", diff)
	}
	if some := carrying(got, "bookworm"); len(some) != 2 {
		t.Errorf("%d sources carry bookworm, want 2", len(some))
	}
	if some := carrying(got, "sid"); len(some) != 0 {
		t.Errorf("%d sources carry sid, want none", len(some))
	}
}

func TestNoSources(t *testing.T) {
	if got, err := Sources(t.TempDir()); err != nil || len(got) != 0 {
		t.Errorf("an empty folder gave %v, %v", got, err)
	}
}

// TestSourceIsReadAsWritten writes stanzas and reads them back.
func TestSourceIsReadAsWritten(t *testing.T) {
	want := []Source{
		{URIs: []string{"http://a.example/x"}, Suites: []string{"s", "s-updates"}, Components: []string{"main"}, SignedBy: "/k.gpg"},
		{URIs: []string{"http://b.example/y"}, Suites: []string{"s"}, Components: []string{"main"}},
	}
	etc := t.TempDir()
	put(t, etc, "sources.list.d/x.sources", want[0].String()+"\n"+want[1].String())
	got, err := Sources(etc)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sources (-want +got):\n%s", diff)
	}
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
