package cpan

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/scan/scantest"
)

func testdata(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestExtract(t *testing.T) {
	for _, test := range []struct {
		name, path, content string
		want, owned         []string
		unless              string
	}{
		{
			"cpanm", "usr/local/share/perl5/x86_64-linux-gnu/.meta/URI-5.35/install.json", testdata(t, "install.json"),
			[]string{"OALDERS/URI 5.35"},
			nil, "",
		},
		{"without an author", "x/.meta/a/install.json", `{"dist": "A-B-v1.2", "version": "1.2"}`, []string{"A-B 1.2"}, nil, ""},
		{
			"packlist", "usr/local/lib/perl5/auto/HTTP/Tiny/.packlist",
			"/usr/local/bin/tiny type=file\n/usr/local/lib/perl5/auto/HTTP/Tiny/Tiny.so\n/usr/local/lib/perl5/HTTP/Tiny.pm\n/../../etc/x\nrelative\n",
			nil,
			[]string{"usr/local/bin/tiny HTTP-Tiny ", "usr/local/lib/perl5/auto/HTTP/Tiny/Tiny.so HTTP-Tiny "},
			"",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if !scantest.Wants(Extractor{}, test.path, []byte(test.content)) {
				t.Error("not wanted")
			}
			found, err := Extractor{}.Extract(t.Context(), scantest.File(test.path, []byte(test.content)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, scantest.Summary(found.Components)); diff != "" || found.Unless != test.unless {
				t.Errorf("unless %q, components (-want +got):\n%s", found.Unless, diff)
			}
			var owned []string
			for _, o := range found.Owned {
				owned = append(owned, o.Path+" "+o.Package+" "+o.Sum)
			}
			if diff := cmp.Diff(test.owned, owned); diff != "" {
				t.Errorf("owned (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExtractRefuses(t *testing.T) {
	for path, content := range map[string]string{
		"x/.meta/a/install.json": `{"version": "1"}`,
		"x/.meta/b/install.json": `{`,
	} {
		if _, err := (Extractor{}).Extract(t.Context(), scantest.File(path, []byte(content))); err == nil {
			t.Errorf("%s: %.60q is taken", path, content)
		}
	}
}

func TestWants(t *testing.T) {
	for _, path := range []string{"app/install.json", "app/.packlist"} {
		if scantest.Wants(Extractor{}, path, []byte("Package: ")) {
			t.Errorf("%s is wanted", path)
		}
	}
}

func FuzzInstalled(f *testing.F) {
	scantest.Fuzz(f, Extractor{}, "x/.meta/a/install.json", `{"dist": "A-1", "version": "1", "pathname": "O/OA/OALDERS/A-1.tar.gz"}`)
}

func FuzzPacklist(f *testing.F) {
	scantest.Fuzz(f, Extractor{}, "x/auto/a/.packlist", "/usr/bin/a type=file\n")
}
