package advisory_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/advisory"
	"plimsoll/internal/fault"
)

const goRecord = `{
	"schema_version": "1.3.1", "id": "GO-2099-0001",
	"modified": "0001-01-01T00:00:00Z", "published": "0001-01-01T00:00:00Z",
	"aliases": ["CVE-2099-1", "GHSA-xxxx-yyyy-zzzz"],
	"summary": "Open redirect\nin example.com/m", "details": "Long.",
	"affected": [{
		"package": {"name": "example.com/m", "ecosystem": "Go"},
		"ranges": [{"type": "SEMVER", "events": [
			{"introduced": "1.0.0"}, {"fixed": "1.4.4"}, {"introduced": "1.5.0"}, {"fixed": "1.5.3"}]}],
		"ecosystem_specific": {"imports": [{"path": "example.com/m/p", "symbols": ["Do"]}]}
	}],
	"references": [{"type": "FIX", "url": "https://example.com/fix"}, {"type": "ADVISORY", "url": "https://example.com/a"}],
	"database_specific": {"url": "https://pkg.go.dev/vuln/GO-2099-0001", "cwe_ids": ["CWE-601"]}
}`

func TestParse(t *testing.T) {
	r, err := advisory.Parse([]byte(goRecord))
	if err != nil {
		t.Fatal(err)
	}
	if !r.Published.IsZero() || !r.Withdrawn.IsZero() {
		t.Errorf("a date of the year 1 is not zero: %v", r.Published)
	}
	r.Trim()
	want := &advisory.Record{
		ID:      "GO-2099-0001",
		Aliases: []string{"CVE-2099-1", "GHSA-xxxx-yyyy-zzzz"},
		Summary: "Open redirect in example.com/m",
		Affected: []advisory.Affected{{
			Package: advisory.Package{Ecosystem: "Go", Name: "example.com/m"},
			Ranges: []advisory.Range{{Type: "SEMVER", Events: []advisory.Event{
				{Introduced: "1.0.0"}, {Fixed: "1.4.4"}, {Introduced: "1.5.0"}, {Fixed: "1.5.3"},
			}}},
		}},
		Database: advisory.Specific{URL: "https://pkg.go.dev/vuln/GO-2099-0001"},
	}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
}

func TestParseRefuses(t *testing.T) {
	event := func(e string) string {
		return `{"id":"X-1","affected":[{"package":{"ecosystem":"Go","name":"m"},"ranges":[{"type":"SEMVER","events":[` + e + `]}]}]}`
	}
	tests := []struct{ name, in string }{
		{"empty", ``},
		{"not an object", `[]`},
		{"no ID", `{"summary":"x"}`},
		{"ID that commands a terminal", `{"id":"X\u001b[2J"}`},
		{"alias with a space", `{"id":"X-1","aliases":["a b"]}`},
		{"bad date", `{"id":"X-1","published":"yesterday"}`},
		{"bad vector", `{"id":"X-1","severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:X"}]}`},
		{"score instead of a vector", `{"id":"X-1","severity":[{"type":"CVSS_V3","score":"9.8"}]}`},
		{"two events in one", event(`{"introduced":"0","fixed":"1.0.0"}`)},
		{"empty event", event(`{"introduced":"0"},{}`)},
		{"never introduced", event(`{"fixed":"1.0.0"}`)},
		{"no version", event(`{"introduced":"0"},{"fixed":"soon"}`)},
		{"limit", event(`{"introduced":"0"},{"limit":"1.0.0"}`)},
		{"unknown type of range", `{"id":"X-1","affected":[{"package":{"ecosystem":"Go","name":"m"},"ranges":[{"type":"MAYBE","events":[]}]}]}`},
		{"too many events", event(strings.Repeat(`{"introduced":"0"},`, 20_001) + `{"introduced":"0"}`)},
		{"too large", `{"id":"X-1","summary":"` + strings.Repeat("x", advisory.MaxRecordBytes) + `"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if r, err := advisory.Parse([]byte(tt.in)); !fault.Is(err, fault.Invalid) {
				t.Errorf("Parse = %v, %v; want an invalid record", r, err)
			}
		})
	}
}

func TestCovers(t *testing.T) {
	semver := func(events ...advisory.Event) advisory.Affected {
		return advisory.Affected{Ranges: []advisory.Range{{Type: advisory.Semver, Events: events}}}
	}
	in := func(v string) advisory.Event { return advisory.Event{Introduced: v} }
	fix := func(v string) advisory.Event { return advisory.Event{Fixed: v} }
	last := func(v string) advisory.Event { return advisory.Event{LastAffected: v} }
	tests := []struct {
		name          string
		affected      advisory.Affected
		covered, free string // versions
		fixes         string // above the first covered one
	}{
		{"all", semver(in("0")), "0.0.0-0 0.0.1 99.0.0", "", ""},
		{"fixed", semver(in("0"), fix("1.2.0")), "0.1.0 1.2.0-rc.1 1.1.9", "1.2.0 1.2.1 2.0.0", "1.2.0"},
		{"last affected", semver(in("1.0.0"), last("1.2.0")), "1.0.0 1.2.0", "0.9.0 1.2.1", ""},
		{"only one version", semver(in("1.2.0"), last("1.2.0")), "1.2.0", "1.1.9 1.2.1", ""},
		{"empty range", semver(in("1.2.0"), fix("1.2.0"), in("0"), fix("1.0.0")), "0.9.0 1.2.0", "1.1.0", "1.0.0 1.2.0"},
		{"two ranges in one, unsorted", semver(fix("2.3.0"), in("2.0.0"), fix("1.4.0"), in("1.0.0")), "1.0.0 1.3.9 2.2.9", "0.9.0 1.4.0 1.9.9 2.3.0", "1.4.0 2.3.0"},
		{"again after a fix", semver(in("0"), fix("1.0.0"), in("1.0.0"), fix("1.1.0")), "0.1.0 1.0.0 1.0.9", "1.1.0", "1.0.0 1.1.0"},
		{"listed", advisory.Affected{Versions: []string{"1.0.0", "v1.1.0"}}, "1.0.0 1.1.0 v1.0.0", "1.2.0", ""},
		{"commits say nothing", advisory.Affected{Ranges: []advisory.Range{{Type: advisory.Git, Events: []advisory.Event{in("0")}}}}, "", "1.0.0", ""},
	}
	order, err := advisory.OrderOf(advisory.Go)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for want, versions := range map[bool]string{true: tt.covered, false: tt.free} {
				for v := range strings.FieldsSeq(versions) {
					if got, err := tt.affected.Covers(order, v); err != nil || got != want {
						t.Errorf("Covers(%q) = %v, %v; want %v", v, got, err, want)
					}
				}
			}
			if v := strings.Fields(tt.covered); len(v) > 0 {
				got, err := tt.affected.Fixes(order, v[0])
				if err != nil || strings.Join(got, " ") != tt.fixes {
					t.Errorf("Fixes(%q) = %q, %v; want %q", v[0], got, err, tt.fixes)
				}
			}
		})
	}
	listed := advisory.Affected{Versions: []string{"(devel)"}}
	if got, err := listed.Covers(order, "(devel)"); !got || err != nil {
		t.Errorf("a listed version that is none: %v, %v", got, err)
	}
	if got, err := listed.Covers(order, "nonsense"); got || err == nil {
		t.Errorf("a version that is none: %v, %v; want an error", got, err)
	}
}

func TestRate(t *testing.T) {
	vector := func(kind, score string) advisory.Vector { return advisory.Vector{Type: kind, Score: score} }
	tests := []struct {
		name   string
		record advisory.Record
		want   advisory.Severity
		score  float64
	}{
		{"nothing", advisory.Record{}, advisory.Unknown, 0},
		{"version 2", advisory.Record{Severity: []advisory.Vector{vector("CVSS_V2", "AV:N/AC:L/Au:N/C:N/I:N/A:C")}}, advisory.High, 7.8},
		{"version 3.0", advisory.Record{Severity: []advisory.Vector{vector("CVSS_V3", "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H")}}, advisory.Critical, 9.8},
		{"version 3.1", advisory.Record{Severity: []advisory.Vector{vector("CVSS_V3", "CVSS:3.1/AV:L/AC:L/PR:N/UI:N/S:U/C:L/I:L/A:H")}}, advisory.High, 7.3},
		{"version 4.0", advisory.Record{Severity: []advisory.Vector{vector("CVSS_V4", "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N")}}, advisory.Critical, 9.3},
		{"no harm", advisory.Record{Severity: []advisory.Vector{vector("CVSS_V3", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N")}}, advisory.None, 0},
		{"the newest version counts", advisory.Record{Severity: []advisory.Vector{
			vector("CVSS_V2", "AV:N/AC:L/Au:N/C:C/I:C/A:C"), vector("CVSS_V3", "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"),
		}}, advisory.Low, 1.8},
		{"of a package", advisory.Record{Affected: []advisory.Affected{{Severity: []advisory.Vector{
			vector("CVSS_V3", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"),
		}}}}, advisory.Critical, 9.8},
		{"in words", advisory.Record{Database: advisory.Specific{Severity: "MODERATE"}}, advisory.Medium, 0},
		{"another's words", advisory.Record{Severity: []advisory.Vector{vector("Ubuntu", "medium")}}, advisory.Unknown, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, score, err := tt.record.Rate()
			if err != nil || got != tt.want || score != tt.score {
				t.Errorf("Rate = %v, %v, %v; want %v, %v", got, score, err, tt.want, tt.score)
			}
		})
	}
}

func TestPackageName(t *testing.T) {
	for _, name := range []string{"zope.interface", "Zope_Interface", "zope--interface", "ZOPE-._interface"} {
		if got := advisory.PyPI.PackageName(name); got != "zope-interface" {
			t.Errorf("PackageName(%q) = %q", name, got)
		}
	}
	if got := advisory.NPM.PackageName("JSONStream"); got != "JSONStream" {
		t.Errorf("npm names are as they are, got %q", got)
	}
}

func TestTrimCutsAtACharacter(t *testing.T) {
	r := advisory.Record{ID: "X-1", Details: "# " + strings.Repeat("ä", 400) + "\n\nmore"}
	r.Trim()
	if !strings.HasSuffix(r.Summary, "ä …") || strings.Contains(r.Summary, "\uFFFD") || len(r.Summary) > 310 {
		t.Errorf("summary %q", r.Summary)
	}
}

func ExampleOrderOf() {
	order, _ := advisory.OrderOf("Debian:12")
	c, _ := order("3.0.22-1~deb12u2", "3.0.22-1")
	fmt.Println(c < 0)
	// Output: true
}
