package cpan

import (
	"testing"

	"plimsoll/internal/scan/scantest"
)

func TestExtract(t *testing.T) {
	scantest.Run(t, Extractor{}, []scantest.Case{
		{
			"cpanm", "usr/local/share/perl5/x86_64-linux-gnu/.meta/URI-5.35/install.json", scantest.Data(t, "install.json"),
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
	})
}

func TestExtractRefuses(t *testing.T) {
	scantest.Refuses(t, Extractor{}, map[string]string{
		"x/.meta/a/install.json": `{"version": "1"}`,
		"x/.meta/b/install.json": `{`,
	})
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
