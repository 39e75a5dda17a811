package native

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan/scantest"
)

// set makes a set of entries, each of which is completed by what the tests of
// recognising do not need to say.
func set(t testing.TB, entries ...string) *Set {
	t.Helper()
	var text strings.Builder
	for _, e := range entries {
		text.WriteString(e + "\n  vendor: example\n  fact: x\n  kind: library\n  samples: [{file: x, version: 1}]\n")
	}
	products, err := load(text.String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSet(products)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const demo = `
- product: demo
  cpe: example:demo
  purl: pkg:generic/demo
  links: [libdemo.so]
  provides: [libdemo.so]
  patterns:
    - anchor: "demolib "
      regexp: 'demolib (?P<version>[0-9]+(?:\.[0-9]+)+)(?:-(?P<revision>[0-9][0-9a-z+.]*))?\x00'
    - anchor: "I am demo "
      regexp: 'I am demo (?P<version>[0-9.]+)\x00'
      own: true`

// recognise returns what the set finds in a program, one line each.
func recognise(t testing.TB, s *Set, content string, needs []string, soname string) (lines []string, err error) {
	t.Helper()
	found, err := Extractor{Set: s}.Extract(t.Context(), scantest.File("opt/x", wrap([]byte(content), needs, soname)))
	for _, c := range found.Components {
		lines = append(lines, strings.Join([]string{string(c.Type), scantest.Summary([]inventory.Component{c})[0], string(c.Relation)}, " "))
	}
	return lines, err
}

func TestRelation(t *testing.T) {
	for _, test := range []struct {
		name, content string
		needs         []string
		soname, want  string
	}{
		{"in a program", "\x00demolib 1.2.3\x00", nil, "", "generic demo 1.2.3 contains"},
		{"in one that needs other libraries", "\x00demolib 1.2.3\x00", []string{"libother.so.1"}, "", "generic demo 1.2.3 contains"},
		{"in one that was built against it", "\x00demolib 1.2.3\x00", []string{"libother.so.1", "libdemo.so.1"}, "", "generic demo 1.2.3 links"},
		{"a text of its own beside it", "\x00I am demo 1.2.3\x00demolib 1.2.3\x00", []string{"libdemo.so.1"}, "", "generic demo 1.2.3 contains"},
		{"in one of its own libraries", "\x00demolib 1.2.3\x00", []string{"libdemo.so.1"}, "libdemo.so.1", "generic demo 1.2.3 contains"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := recognise(t, set(t, demo), test.content, test.needs, test.soname)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{test.want}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestBuiltAgainst(t *testing.T) {
	s := set(t, `
- product: demo
  purl: pkg:generic/demo
  links: [libdemo.so]
  patterns:
    - anchor: "demolib "
      regexp: 'demolib (?P<version>[0-9.]+)\x00'
      built: true`)
	for _, test := range []struct {
		name  string
		needs []string
		want  []string
	}{
		{"needs the library", []string{"libdemo.so.1"}, []string{"generic demo 1.2 links"}},
		{"needs it by another only", []string{"libother.so.1"}, nil},
	} {
		got, err := recognise(t, s, "demolib 1.2\x00", test.needs, "")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}

func TestWhichVersion(t *testing.T) {
	two := "\x00demolib 1.9.0\x00 demolib 1.10.0\x00 demolib 1.9.0\x00 demolib 1.11\x00"
	for _, test := range []struct{ option, content, want string }{
		{"", two, "demo 1.9.0"},
		{"\n  prefer: first", two, "demo 1.9.0"},
		{"\n  prefer: last", two, "demo 1.11"},
		{"\n  prefer: longest", two, "demo 1.10.0"},
		{"\n  prefer: highest", two, "demo 1.11"},
		{"\n  multiple: true", two, "demo 1.10.0, demo 1.11, demo 1.9.0"},
		{"\n  not: [\"forklib\"]", two, "demo 1.9.0"},
		{"\n  not: [\"forklib\"]", "forklib" + two, ""},
		{"\n  table: {\"1.9.0\": \"one\"}", two, "demo one"},
		{"\n  table: {\"1.9.9\": \"one\"}", two, ""},
	} {
		found, err := Extractor{Set: set(t, demo+test.option)}.Extract(t.Context(), scantest.File("x", wrap([]byte(test.content), nil, "")))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(scantest.Summary(found.Components), ", "); got != test.want {
			t.Errorf("%q: found %q, want %q", test.option, got, test.want)
		}
	}
}

const bare = `
- product: lone
  purl: pkg:generic/lone
  patterns:
    - anchor: "lone version %s"
      bare: '(?P<version>[0-9]+\.[0-9]+\.[0-9]+)'
      also: ["of the lone"]
      reach: 300000`

// TestBare: of the texts that are a version and nothing else, the nearest counts,
// in both directions and over the seams of what is read at once.
func TestBare(t *testing.T) {
	gap := strings.Repeat("x\x00", 40_000)
	for _, test := range []struct{ name, content, want string }{
		{"after", "lone version %s\x00of the lone\x00" + gap + "\x001.2.3\x00", "lone 1.2.3"},
		{"before", "\x001.2.3\x00" + gap + "of the lone\x00lone version %s\x00", "lone 1.2.3"},
		{"the nearer", "\x009.9.9\x00" + gap + "of the lone\x00lone version %s\x00\x001.2.3\x00" + gap + "\x008.8.8\x00", "lone 1.2.3"},
		{"part of a text", "lone version %s\x00of the lone\x00v1.2.3\x001.2.3 \x00", ""},
		{"too far", "lone version %s\x00of the lone\x00" + strings.Repeat(gap, 5) + "\x001.2.3\x00", ""},
		{"without what else it holds", "lone version %s\x00\x001.2.3\x00", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			found, err := Extractor{Set: set(t, bare)}.Extract(t.Context(), scantest.File("x", wrap([]byte("\x00"+test.content), nil, "")))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(scantest.Summary(found.Components), ", "); got != test.want {
				t.Errorf("found %q, want %q", got, test.want)
			}
			for _, c := range found.Components {
				if c.Evidence[0].Confidence != sureBare {
					t.Errorf("confidence %v", c.Evidence[0].Confidence)
				}
			}
		})
	}
}

// TestBareAtEveryOffset: no seam of blocks hides a version.
func TestBareAtEveryOffset(t *testing.T) {
	s := set(t, bare)
	for shift := range 40 {
		pad := strings.Repeat("\x00", reachBlock-20+shift-len("lone version %s"))
		content := "\x00of the lone\x00lone version %s" + pad + "12.34.56\x00"
		found, err := Extractor{Set: s}.Extract(t.Context(), scantest.File("x", wrap([]byte(content), nil, "")))
		if err != nil || len(found.Components) != 1 || found.Components[0].Version != "12.34.56" {
			t.Errorf("shift %d: found %q, %v", shift, scantest.Summary(found.Components), err)
		}
	}
}

func TestWindowsOverSeams(t *testing.T) {
	s := set(t, demo)
	for shift := -30; shift < 30; shift++ {
		for _, n := range []int{1, 2} {
			b := make([]byte, n*windowSize+shift)
			b = append(b, "\x00demolib 1.2.3\x00"...)
			copy(b, wrap(nil, nil, ""))
			found, err := Extractor{Set: s}.Extract(t.Context(), scantest.File("x", b))
			if err != nil || len(found.Components) != 1 || found.Components[0].Version != "1.2.3" {
				t.Errorf("%d windows and %d bytes: found %q, %v", n, shift, scantest.Summary(found.Components), err)
			}
		}
	}
}

func TestDistributions(t *testing.T) {
	for _, test := range []struct{ name, content, option, want string }{
		{"in the text", "demolib 1.2.3-4+deb12u5\x00", "\n  debian: demosrc", "deb debian/demosrc 1.2.3-4+deb12u5 < demosrc 1.2.3-4+deb12u5 contains"},
		{"with an epoch", "demolib 1.2.3-4+deb12u5\x00", "\n  debian: demosrc\n  epoch: \"2\"", "deb debian/demosrc 2:1.2.3-4+deb12u5 < demosrc 2:1.2.3-4+deb12u5 contains"},
		{"built again", "demolib 1.2.3-4+b1\x00", "\n  debian: demosrc", "deb debian/demosrc 1.2.3-4+b1 < demosrc 1.2.3-4 contains"},
		{"elsewhere", "demolib 1.2.3\x00 (Debian 1:1.2.3-4+deb12u1+b2)\x00", "\n  debian: demosrc", "deb debian/demosrc 1:1.2.3-4+deb12u1+b2 < demosrc 1:1.2.3-4+deb12u1 contains"},
		{"Ubuntu's", "demolib 1.2.3\x00 1.2.3-0ubuntu0.22.04.1 \x00", "\n  debian: demosrc", "deb ubuntu/demosrc 1.2.3-0ubuntu0.22.04.1 < demosrc 1.2.3-0ubuntu0.22.04.1 contains"},
		{"of another version", "demolib 1.2.3\x00 1.2.4-0ubuntu0.22.04.1 \x00", "\n  debian: demosrc", "generic demo 1.2.3 contains"},
		{"of who built it", "demolib 1.2.3\x00GCC: (Debian 1.2.3-4+deb12u1) 1.2.3\x00", "\n  debian: demosrc", "generic demo 1.2.3 contains"},
		{"without a source package", "demolib 1.2.3-4+deb12u5\x00", "", "generic demo 1.2.3 contains"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := recognise(t, set(t, demo+test.option), "\x00"+test.content, nil, "")
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(got, ", "); got != test.want {
				t.Errorf("found %q, want %q", got, test.want)
			}
		})
	}
}

func TestPackaged(t *testing.T) {
	for _, test := range []struct {
		version   string
		debian    bool
		typ       inventory.Type
		namespace string
	}{
		{"7.88.1-10+deb12u15", true, inventory.Deb, "debian"},
		{"7.88.1-10", true, inventory.Deb, "debian"},
		{"7.88.1-10", false, "", ""},
		{"1:9.6p1-3ubuntu13.5", true, inventory.Deb, "ubuntu"},
		{"1.36.1-r29", false, inventory.Apk, "alpine"},
		{"3.0.7-27.el9_4", true, "", ""},
		{"7.88.1", true, "", ""},
		{"", true, "", ""},
	} {
		typ, namespace, ok := packaged(test.version, test.debian)
		if ok != (test.typ != "") || ok && (typ != test.typ || namespace != test.namespace) {
			t.Errorf("packaged(%q, %v) = %s, %s, %v", test.version, test.debian, typ, namespace, ok)
		}
	}
}

func TestCPE(t *testing.T) {
	found, err := Extractor{Set: set(t, strings.Replace(demo, `(?:\.[0-9]+)+`, `[^\x00]+`, 1))}.Extract(t.Context(), scantest.File("x", wrap([]byte("demolib 1.2+3~rc:1\x00"), nil, "")))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := found.Components[0].CPE, `cpe:2.3:a:example:demo:1.2\+3\~rc\:1:*:*:*:*:*:*:*`; got != want {
		t.Errorf("CPE %s, want %s", got, want)
	}
}

// TestBounds: a file made to cost much costs little, says so, and what was found
// before is kept.
func TestBounds(t *testing.T) {
	for name, content := range map[string]string{
		"places":   "\x00demolib 1.2.3\x00" + strings.Repeat("demolib ", maxHits+1),
		"versions": "\x00demolib 1.2.3\x00demolib 1.2.3\x00" + versions(maxVersions+1),
	} {
		got, err := recognise(t, set(t, demo), content, nil, "")
		if !fault.Is(err, fault.Invalid) || len(got) != 1 || got[0] != "generic demo 1.2.3 contains" {
			t.Errorf("%s: found %q, err = %v, want 1.2.3 and invalid", name, got, err)
		}
	}
	wide := strings.Replace(demo, "regexp: 'demolib", "before: 4096\n      after: 4096\n      regexp: 'demolib", 1)
	_, err := recognise(t, set(t, wide), strings.Repeat("demolib ", maxHits-1), nil, "")
	if !fault.Is(err, fault.Invalid) {
		t.Errorf("bytes: err = %v, want invalid", err)
	}
}

func versions(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("demolib 7." + strings.Repeat("1", i+1) + "\x00")
	}
	return b.String()
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Extractor{Set: set(t, demo)}.Extract(ctx, scantest.File("x", wrap([]byte(strings.Repeat("demolib ", 1000)), nil, "")))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want cancelled", err)
	}
}

func TestVersionChangesWithProducts(t *testing.T) {
	a, b := Extractor{Set: set(t, demo)}, Extractor{Set: set(t, bare)}
	if a.Version() == b.Version() || a.Version() == (Extractor{}).Version() || a.Version() < 1 {
		t.Errorf("versions %d, %d, %d", a.Version(), b.Version(), Extractor{}.Version())
	}
}

func FuzzExtract(f *testing.F) {
	scantest.Fuzz(f, Extractor{}, "x", string(wrap([]byte("\x00OpenSSL 3.0.15 3 Sep 2024\x00"), []string{"libssl.so.3"}, "")), "\x7fELF\x02\x01\x01", "MZ")
}
