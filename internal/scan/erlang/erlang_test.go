package erlang

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/scantest"
)

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestApplications(t *testing.T) {
	for _, test := range []struct {
		path, sample string
		want, owned  string
	}{
		{"usr/lib/erlang/lib/jiffy-1.1.1/ebin/jiffy.app", "jiffy.app", "hex jiffy 1.1.1", "usr/lib/erlang/lib/jiffy-1.1.1/ hex jiffy"},
		{"app/lib/crypto-5.1.2/ebin/crypto.app", "crypto.app", "otp crypto 5.1.2", "app/lib/crypto-5.1.2/ otp crypto"},
		{"usr/lib/elixir/lib/elixir/ebin/elixir.app", "elixir.app", "generic elixir 1.14.0", "usr/lib/elixir/lib/elixir/ generic elixir"},
		{"usr/lib/elixir/lib/logger/ebin/logger.app", "logger.app", "", ""},
	} {
		b := testdata(t, test.sample)
		if !scantest.Wants(Applications{}, test.path, b) {
			t.Errorf("%s is not wanted", test.path)
		}
		found, err := Applications{}.Extract(t.Context(), scantest.File(test.path, b))
		if err != nil {
			t.Fatal(err)
		}
		var got, owned []string
		for _, c := range found.Components {
			got = append(got, fmt.Sprintf("%s %s %s", c.Type, c.Name, c.Version))
		}
		for _, o := range found.Owned {
			owned = append(owned, fmt.Sprintf("%s %s %s", o.Path, o.Type, o.Package))
		}
		if strings.Join(got, " ") != test.want || strings.Join(owned, " ") != test.owned {
			t.Errorf("%s: %q owns %q, want %q and %q", test.path, got, owned, test.want, test.owned)
		}
	}
}

func TestApplication(t *testing.T) {
	for text, want := range map[string]string{
		`{application, a, [{vsn, "1"}]}.`:                                         "a 1",
		`{application,'my app',[{env,[{x,{vsn,"9"}}]},{vsn,"1.0\"x"}]}.`:          `my app 1.0"x`,
		"%% {vsn, \"9\"}\n{application, a, [{description, \"{vsn, \"}, {id,[]}]}": "a",
		`{application, a, [{vsn, git}]}.`:                                         "error",
		`{application, a, [{vsn, "1"}`:                                            "error",
		`{release, a}`:                                                            "error",
		``:                                                                        "error",
	} {
		name, version, err := application(text)
		got := strings.TrimSpace(name + " " + version)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%s: %q (%v), want %q", text, got, err, want)
		}
	}
}

func TestCPE(t *testing.T) {
	if got := cpe("elixir-lang", "elixir", "1.15.0-rc.1"); got != "" {
		t.Errorf("a version that a CPE must quote: %q", got)
	}
	if got := cpe("elixir-lang", "elixir", "1.14.0"); got != "cpe:2.3:a:elixir-lang:elixir:1.14.0:*:*:*:*:*:*:*" {
		t.Errorf("%q", got)
	}
}

func TestLocks(t *testing.T) {
	for path, want := range map[string]string{
		"app/mix.lock":   "castore 0.1.17 connection 1.1.0 cowboy 2.9.0 cowboy_telemetry 0.4.0",
		"app/rebar.lock": "certifi 2.9.0 idna 6.1.1 metrics 1.0.1 mimerl 1.2.0 parse_trans 3.3.1 ssl_verify_fun 1.1.6 unicode_util_compat 0.7.0",
	} {
		b := testdata(t, filepath.Base(path))
		if !scantest.Wants(Locks{}, path, b) {
			t.Errorf("%s is not wanted", path)
		}
		found, err := Locks{}.Extract(t.Context(), scantest.File(path, b))
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(scantest.Summary(found.Components), " ")
		if !strings.HasPrefix(got, want) || strings.Contains(got, "enacl") || found.Unless != "app/_build" {
			t.Errorf("%s: %s, unless %q", path, got, found.Unless)
		}
	}
}

func TestCountlessPackages(t *testing.T) {
	many := []byte(strings.Repeat(`"a": {:hex, :a, "1", },`+"\n", scan.MaxComponents+1))
	if _, err := (Locks{}).Extract(t.Context(), scantest.File("mix.lock", many)); err == nil {
		t.Error("countless packages are taken")
	}
}

func TestWants(t *testing.T) {
	for _, path := range []string{"Applications/Firefox.app", "app/lib/a/src/a.app", "usr/lib/erlang/lib/a/ebin/a.appup"} {
		if scantest.Wants(Applications{}, path, nil) {
			t.Errorf("%s is wanted", path)
		}
	}
}

func ExampleApplications() {
	f := scantest.File("app/lib/a-1.0.0/ebin/a.app", []byte(`{application, a, [{vsn, "1.0.0"}]}.`))
	found, err := Applications{}.Extract(context.Background(), f)
	fmt.Println(found.Components[0].Type == inventory.Hex, found.Components[0].Version, err)
	// Output: true 1.0.0 <nil>
}

func FuzzApplications(f *testing.F) {
	scantest.Fuzz(f, Applications{}, "lib/a/ebin/a.app", `{application, 'a', [{vsn, "1"}, {modules, [<<"x">>]}]}. % y`)
}

func FuzzRebar(f *testing.F) {
	scantest.Fuzz(f, Locks{}, "rebar.lock", `[{<<"a">>,{pkg,<<"a">>,<<"1">>},0}].`)
}

func FuzzMix(f *testing.F) {
	scantest.Fuzz(f, Locks{}, "mix.lock", `  "a": {:hex, :a, "1", "x"},`)
}
