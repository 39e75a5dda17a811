package php

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
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

func extract(t *testing.T, x scan.Extractor, path, content string) inventory.Found {
	t.Helper()
	if !scantest.Wants(x, path, []byte(content)) {
		t.Errorf("%q is not wanted", path)
	}
	found, err := x.Extract(t.Context(), scantest.File(path, []byte(content)))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestInstalled(t *testing.T) {
	want := []string{"gettext/gettext v4.8.7", "phpmailer/phpmailer v6.7", "psr/log 1.1.4", "symfony/http-kernel v4.4.49"}
	for _, file := range []string{"installed-1.json", "installed-2.json"} {
		found := extract(t, Composer{}, "srv/app/vendor/composer/installed.json", sample(t, file))
		if diff := cmp.Diff(want, scantest.Summary(found.Components)); diff != "" {
			t.Errorf("%s: components (-want +got):\n%s", file, diff)
		}
		if diff := cmp.Diff(inventory.Owned{Path: "srv/app/vendor/psr/log/", Package: "log", Type: inventory.Composer}, found.Owned[2]); diff != "" {
			t.Errorf("%s: owned (-want +got):\n%s", file, diff)
		}
		if diff := cmp.Diff([]string{"LGPL-2.1-only"}, found.Components[1].Licences); diff != "" {
			t.Errorf("%s: licences (-want +got):\n%s", file, diff)
		}
	}
}

func TestHostileInstalled(t *testing.T) {
	for _, test := range []struct {
		name, content string
		want          []string
		refused       bool
	}{
		{"odd types", `{"packages": [{"name": 5}, [], "x", {"name": "A/B", "version": {"x": 1}, "license": {"x": []}}, {"name": "../../etc", "version": "1", "Version": "9"}]}`, []string{"a/b", "../../etc 1"}, false},
		{"no packages", `{"packages": null}`, nil, false},
		{"cut short", `[{"name": "a/b", "version": "1"}, {"name"`, []string{"a/b 1"}, true},
		{"something behind a list", `[] []`, nil, true},
		{"out of the list", `[]}, "packages": [{"name": "a/b"}]`, nil, true},
		{"too deep", `[{"x": ` + strings.Repeat("[", 1<<16), nil, true},
		{"empty", ``, nil, true},
		{"countless", `[` + strings.Repeat(`{"name": "a/b"},`, scan.MaxComponents+2) + `{}]`, nil, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			found, err := Composer{}.Extract(t.Context(), scantest.File("vendor/composer/installed.json", []byte(test.content)))
			if (err != nil) != test.refused || (err != nil && !fault.Is(err, fault.Invalid)) {
				t.Fatalf("err = %v, refused = %v", err, test.refused)
			}
			if diff := cmp.Diff(test.want, scantest.Summary(found.Components)); diff != "" && test.name != "countless" {
				t.Errorf("components (-want +got):\n%s", diff)
			}
			for _, o := range found.Owned {
				if strings.Contains(o.Path, "..") {
					t.Errorf("owned %q", o.Path)
				}
			}
		})
	}
}

func TestLocks(t *testing.T) {
	found := extract(t, Locks{}, "srv/app/composer.lock", sample(t, "composer.lock"))
	want := []string{"adoy/fastcgi-client 1.0.2", "alcaeus/mongo-php-adapter 1.1.11"}
	if diff := cmp.Diff(want, scantest.Summary(found.Components)); diff != "" || found.Unless != "srv/app/vendor" {
		t.Errorf("unless %q, components (-want +got):\n%s", found.Unless, diff)
	}
}

func TestPEAR(t *testing.T) {
	for _, test := range []struct{ path, content, want, licence string }{
		{"usr/share/php/.registry/console_getopt.reg", sample(t, "console_getopt.reg"), "pear.php.net/Console_Getopt 1.4.3", "BSD-2-Clause"},
		{"usr/local/lib/php/.registry/.channel.pecl.php.net/memcached.reg", sample(t, "memcached.reg"), "pecl.php.net/memcached 3.2.0", "PHP License"},
		{".registry/old.reg", `a:2:{s:7:"version";s:3:"1.0";i:0;b:1;}`, "old 1.0", ""},
	} {
		found := extract(t, PEAR{}, test.path, test.content)
		if diff := cmp.Diff([]string{test.want}, scantest.Summary(found.Components)); diff != "" {
			t.Errorf("%s: components (-want +got):\n%s", test.path, diff)
		}
		if got := strings.Join(found.Components[0].Licences, " "); got != test.licence {
			t.Errorf("%s: licences %q", test.path, got)
		}
	}
	for _, content := range []string{"x", "a:9", `a:1:{s:4:"name";s:999:"x";}`, `a:-1:{}`, `a:1:{s:1:"a";O:3:"Foo":0:{}}`, strings.Repeat(`a:1:{i:0;`, maxDepth+2), `a:99999999:{}`} {
		if found, err := (PEAR{}).Extract(t.Context(), scantest.File(".registry/x.reg", []byte(content))); !fault.Is(err, fault.Invalid) || !found.Empty() {
			t.Errorf("%.30q: %v, %v", content, found.Components, err)
		}
	}
}

func TestWordPress(t *testing.T) {
	core := extract(t, WordPress{}, "var/www/html/wp-includes/version.php", sample(t, "version.php"))
	if diff := cmp.Diff([]string{"wordpress 6.1.9"}, scantest.Summary(core.Components)); diff != "" {
		t.Errorf("components (-want +got):\n%s", diff)
	}
	if got := core.Components[0].CPE; got != "cpe:2.3:a:wordpress:wordpress:6.1.9:*:*:*:*:*:*:*" {
		t.Errorf("CPE %q", got)
	}
	plugin := extract(t, WordPress{}, "var/www/html/wp-content/plugins/akismet/akismet.php", sample(t, "akismet.php"))
	if diff := cmp.Diff([]string{"wordpress-plugin/akismet 5.0.2"}, scantest.Summary(plugin.Components)); diff != "" {
		t.Errorf("components (-want +got):\n%s", diff)
	}
	if found := extract(t, WordPress{}, "wp-content/plugins/a/a.php", "<?php\n// Version: 1\n"); !found.Empty() {
		t.Errorf("a file without a header is a plugin: %v", found.Components)
	}
}

func TestWants(t *testing.T) {
	all := []scan.Extractor{Composer{}, Locks{}, PEAR{}, WordPress{}}
	for path, want := range map[string]string{
		"app/vendor/composer/installed.json":       "composer",
		"composer/installed.json":                  "composer",
		"app/vendor/mycomposer/installed.json":     "",
		"app/composer.lock":                        "composer-lock",
		"app/vendor/a/b/composer.lock":             "",
		"usr/share/php/.registry/a.reg":            "pear",
		"usr/share/php/.channels/pear.php.net.reg": "",
		"www/wp-includes/version.php":              "wordpress",
		"www/includes/version.php":                 "",
		"www/wp-content/plugins/a/a.php":           "wordpress",
		"www/wp-content/plugins/a/views/views.php": "",
		"www/wp-content/plugins/hello.php":         "",
		"www/wp-content/plugins/a/b.php":           "",
		"www/wp-content/themes/a/a.php":            "",
	} {
		got := ""
		for _, x := range all {
			if scantest.Wants(x, path, nil) {
				got = x.Name()
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func FuzzComposer(f *testing.F) {
	scantest.Fuzz(f, Composer{}, "vendor/composer/installed.json", sample(f, "installed-1.json"), sample(f, "installed-2.json"))
}

func FuzzLocks(f *testing.F) { scantest.Fuzz(f, Locks{}, "composer.lock", sample(f, "composer.lock")) }

func FuzzPEAR(f *testing.F) { scantest.Fuzz(f, PEAR{}, ".registry/a.reg", sample(f, "memcached.reg")) }

func FuzzWordPress(f *testing.F) {
	scantest.Fuzz(f, WordPress{}, "wp-content/plugins/akismet/akismet.php", sample(f, "akismet.php"))
}
