package ruby

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/scantest"
)

func sample(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestGems(t *testing.T) {
	for _, test := range []struct{ path, content, want, owned string }{
		{"usr/local/bundle/specifications/rack-2.2.22.gemspec", sample(t, "rack-2.2.22.gemspec"), "rack 2.2.22", "usr/local/bundle/gems/rack-2.2.22/"},
		{"usr/lib/ruby/gems/3.1.0/specifications/default/json-2.6.3.gemspec", sample(t, "json-2.6.3.gemspec"), "json 2.6.3", "usr/lib/ruby/gems/3.1.0/gems/json-2.6.3/"},
		{"specifications/nokogiri-1.13.10.gemspec", sample(t, "nokogiri-1.13.10.gemspec"), "nokogiri 1.13.10", "gems/nokogiri-1.13.10/"},
		{"x/specifications/old-1.0-java.gemspec", "Gem::Specification.new do |s|\n  s.name = %q{old}\n  s.version = Gem::Version.new(\"1.0\")\n  s.platform = 'java'\n", "old 1.0", "x/gems/old-1.0-java/"},
		{"x/specifications/stub-1.gemspec", "# -*- encoding: utf-8 -*-\n# stub: stub 1.0 ruby lib\n  s.name = \"other\"\n  s.version = \"9\"\n", "stub 1.0", "x/gems/stub-1/"},
		{"x/specifications/a-1.gemspec", "# stub: a 1.0 ruby lib\n" + strings.Repeat("x", maxLine+1), "a 1.0", "x/gems/a-1/"},
	} {
		t.Run(test.path, func(t *testing.T) {
			if !scantest.Wants(Gems{}, test.path, nil) {
				t.Error("the file is not wanted")
			}
			found, err := Gems{}.Extract(t.Context(), scantest.File(test.path, []byte(test.content)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{test.want}, scantest.Summary(found.Components)); diff != "" {
				t.Errorf("components (-want +got):\n%s", diff)
			}
			name, _, _ := strings.Cut(test.want, " ")
			if diff := cmp.Diff([]inventory.Owned{{Path: test.owned, Package: name, Type: inventory.Gem}}, found.Owned); diff != "" {
				t.Errorf("owned (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLicences(t *testing.T) {
	found, err := Gems{}.Extract(t.Context(), scantest.File("specifications/rack-2.2.22.gemspec", []byte(sample(t, "rack-2.2.22.gemspec"))))
	if diff := cmp.Diff([]string{"MIT"}, found.Components[0].Licences); diff != "" || err != nil {
		t.Errorf("err = %v, licences (-want +got):\n%s", err, diff)
	}
}

func TestNameless(t *testing.T) {
	for content, fails := range map[string]bool{"": false, "hello": true, "  s.name = \"#{x}\"\n": true, strings.Repeat("x", maxLine+1): true} {
		found, err := Gems{}.Extract(t.Context(), scantest.File("specifications/x.gemspec", []byte(content)))
		if (err != nil) != fails || !found.Empty() {
			t.Errorf("%.20q: %v, %v", content, found.Components, err)
		}
	}
}

func TestWants(t *testing.T) {
	for path, want := range map[string]string{
		"specifications/a.gemspec":                   "gem",
		"x/specifications/default/a.gemspec":         "gem",
		"x/gems/rack-2.2/rack.gemspec":               "",
		"x/myspecifications/a.gemspec":               "",
		"x/specifications/other/a.gemspec":           "",
		"srv/app/Gemfile.lock":                       "gem-lock",
		"srv/app/gems.locked":                        "gem-lock",
		"usr/local/bundle/gems/rails-7/Gemfile.lock": "",
		"usr/share/doc/x/Gemfile.lock":               "",
	} {
		got := ""
		for _, x := range []scan.Extractor{Gems{}, Locks{}} {
			if scantest.Wants(x, path, nil) {
				got = x.Name()
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func TestLocks(t *testing.T) {
	found, err := Locks{}.Extract(t.Context(), scantest.File("srv/app/Gemfile.lock", []byte(sample(t, "Gemfile.lock"))))
	if err != nil || found.Unless != "srv/app" {
		t.Fatalf("unless %q, err = %v", found.Unless, err)
	}
	got := scantest.Summary(found.Components)
	if len(got) != 50 || got[0] != "actionmailer 4.1.1" {
		t.Errorf("%d gems, %q first", len(got), got[0])
	}
	for _, s := range got {
		if strings.HasPrefix(s, "turbolinks ") || strings.HasPrefix(s, "google-cloud-errors") {
			t.Errorf("%s was not released", s)
		}
	}
	found, err = Locks{}.Extract(t.Context(), scantest.File("Gemfile.lock", []byte("GEM\r\n  specs:\r\n    nokogiri (1.13.10-x86_64-linux)\r\n      racc (~> 1.4)\r\n    odd\r\n    ()\r\n\r\nBUNDLED WITH\r\n   2.3\r\n")))
	if diff := cmp.Diff([]string{"nokogiri 1.13.10"}, scantest.Summary(found.Components)); diff != "" || err != nil {
		t.Errorf("err = %v, components (-want +got):\n%s", err, diff)
	}
	countless := "GEM\n  specs:\n" + strings.Repeat("    a (1)\n", scan.MaxComponents+10)
	if _, err := (Locks{}).Extract(t.Context(), scantest.File("Gemfile.lock", []byte(countless))); err == nil {
		t.Error("countless gems are taken")
	}
}

func FuzzGems(f *testing.F) {
	scantest.Fuzz(f, Gems{}, "specifications/x.gemspec", sample(f, "rack-2.2.22.gemspec"), "s.name = %q{a}\ns.version = '1'\n")
}

func FuzzLocks(f *testing.F) {
	scantest.Fuzz(f, Locks{}, "Gemfile.lock", sample(f, "Gemfile.lock"))
}
