package feed

import (
	"errors"
	"strings"
	"testing"
	"time"

	"deps.dev/util/semver"
	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/advisory"
	"plimsoll/internal/fault"
	"plimsoll/internal/pack"
)

// brief writes a record as "ID[=alias…] ecosystem name: events".
func brief(r *advisory.Record) string {
	if r == nil {
		return "none"
	}
	var s strings.Builder
	s.WriteString(strings.Join(r.Names(), "="))
	for _, a := range r.Affected {
		s.WriteString(" " + string(a.Package.Ecosystem) + " " + a.Package.Name + ":")
		for _, g := range a.Ranges {
			for _, e := range g.Events {
				switch {
				case e.Introduced != "":
					s.WriteString(" from " + e.Introduced)
				case e.Fixed != "":
					s.WriteString(" fixed " + e.Fixed)
				case e.LastAffected != "":
					s.WriteString(" to " + e.LastAffected)
				}
			}
		}
	}
	if r.Database.Severity != "" {
		s.WriteString(" " + r.Database.Severity)
	}
	for _, v := range r.Severity {
		s.WriteString(" " + v.Score)
	}
	if r.Database.Note != "" {
		s.WriteString(" (" + r.Database.Note + ")")
	}
	return s.String()
}

const trackerDoc = `{
	"openssl": {
		"CVE-2026-1": {"scope": "remote", "debianbug": 1, "description": "A hole", "releases": {
			"bookworm": {"status": "resolved", "repositories": {}, "fixed_version": "3.0.22-1~deb12u1", "urgency": "not yet assigned"},
			"bullseye": {"status": "open", "repositories": {}, "urgency": "end-of-life"},
			"sid": {"status": "resolved", "fixed_version": "3.5.0-1", "urgency": "low**"}}},
		"CVE-2026-2": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "0", "urgency": "unimportant"}}},
		"CVE-2026-3": {"releases": {"bookworm": {"status": "open", "urgency": "unimportant"}}},
		"CVE-2026-4": {"releases": {"bookworm": {"status": "open", "nodsa": "Minor issue", "nodsa_reason": "", "urgency": "medium**"}}},
		"CVE-2026-5": {"releases": {"bookworm": {"status": "open", "nodsa": "Minor issue", "nodsa_reason": "ignored", "urgency": "low"}}},
		"TEMP-0000000-ABCDEF": {"releases": {"bookworm": {"status": "undetermined", "urgency": "not yet assigned"}}}
	},
	"odd": {
		"CVE-2026-6": {"releases": {"sarge": {"status": "open"}}},
		"CVE-2026-7": {"releases": {"bookworm": {"status": "perhaps"}}},
		"CVE-2026-8": {"releases": {"bookworm": {"status": "resolved"}}}
	}
}`

const rustDoc = "```toml\n[advisory]\nid = \"RUSTSEC-2021-0003\"\npackage = \"smallvec\"\ndate = \"2021-01-08\"\naliases = [\"CVE-2021-25900\"]\n" +
	"cvss = \"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H\"\n\n[versions]\npatched = [\">= 0.6.14, < 1.0.0\", \">= 1.6.1\"]\nunaffected = [\"< 0.6.3\"]\n```\n\n# Buffer overflow\n\nMore."

const nodeDoc = `{"id": 577, "title": "Prototype Pollution", "created_at": "2018-04-24", "publish_date": "2018-04-24", "module_name": "lodash", "cves": ["CVE-2018-3721"],
	"vulnerable_versions": "<4.17.5 || >5.0.0 <=5.1.0", "patched_versions": ">=4.17.5", "references": ["https://example.com"], "cvss_vector": "CVSS:3.0/AV:L/AC:H/PR:L/UI:R/S:U/C:N/I:L/A:N"}`

const retireDoc = `{"lodash": {"vulnerabilities": [
	{"below": "4.17.5", "severity": "low", "identifiers": {"CVE": ["CVE-2018-3721"], "summary": "Prototype pollution"}, "info": ["https://www.npmjs.com/advisories/577"]},
	{"atOrAbove": "5.0.0", "below": "5.1.0", "severity": "low", "identifiers": {"CVE": ["CVE-2018-3721"]}, "info": []},
	{"below": "4.17.21", "severity": "high", "identifiers": {"githubID": "GHSA-35jh-r3h4-6jhm"}, "info": ["https://github.com/lodash/lodash"]},
	{"severity": "high"},
	{"below": "4.17.20", "severity": "low", "identifiers": {"summary": "Nameless"}}]}}`

const kevDoc = `{"catalogVersion": "2025.08.25", "count": 2, "vulnerabilities": [
	{"cveID": "CVE-2023-4911", "vulnerabilityName": "GNU C Library Buffer Overflow", "dateAdded": "2023-11-21"},
	{"cveID": "CVE-2023-0000", "dateAdded": "soon"}]}`

const cveDoc = `{"dataType": "CVE_RECORD", "cveMetadata": {"cveId": "CVE-2024-2961", "state": "PUBLISHED"}, "containers": {
	"cna": {"title": "Overflow in iconv", "metrics": [{"other": {"type": "ssvc"}}]},
	"adp": [{"title": "CISA ADP", "metrics": [{"cvssV3_1": {"vectorString": "CVSS:3.1/AV:L/AC:L/PR:N/UI:N/S:U/C:L/I:L/A:H", "baseScore": 7.3}}]}]}}`

func TestParsers(t *testing.T) {
	tests := []struct {
		format, in string
		want       []string
		errs       []string
	}{
		{"debian-tracker", trackerDoc, []string{
			"CVE-2026-1 Debian:12 openssl: from 0 fixed 3.0.22-1~deb12u1",
			"CVE-2026-1 Debian:11 openssl: from 0 (Debian no longer supports this package in this release)",
			"none", "none",
			"CVE-2026-3 Debian:12 openssl: from 0 unimportant (Debian judges it unimportant (no security impact, or not in the binary packages))",
			"CVE-2026-4 Debian:12 openssl: from 0 medium (Debian judges it minor and plans no advisory of its own)",
			"CVE-2026-5 Debian:12 openssl: from 0 low (Debian will not fix it in this release)",
			"TEMP-0000000-ABCDEF Debian:12 openssl: from 0 (Debian has not determined yet whether this release is affected)",
		}, []string{`CVE-2026-6 of "odd" in sarge: unknown release`, `unknown status "perhaps"`, "without a fixed version"}},
		{"rustsec", rustDoc, []string{"RUSTSEC-2021-0003=CVE-2021-25900 crates.io smallvec: from 0.6.3 fixed 0.6.14 from 1.0.0 fixed 1.6.1 CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}, nil},
		{"rustsec", strings.Replace(rustDoc, "cvss =", "informational = \"unmaintained\"\ncvss =", 1), []string{"none"}, nil},
		{"rustsec", strings.Replace(rustDoc, "< 0.6.3", "> !", 1), nil, []string{`requirement "> !"`}},
		{"rustsec", "# no head", nil, []string{"does not begin with"}},
		{"nodejs-security-wg", nodeDoc, []string{"NSWG-ECO-577=CVE-2018-3721 npm lodash: from 0 fixed 4.17.5 from 5.0.1 to 5.1.0 CVSS:3.0/AV:L/AC:H/PR:L/UI:R/S:U/C:N/I:L/A:N"}, nil},
		{"nodejs-security-wg", `{"id": 1, "module_name": "m", "vulnerable_versions": "<0.0.0"}`, nil, []string{"no vulnerable version"}},
		{"retire-npm", retireDoc, []string{
			"CVE-2018-3721=NSWG-ECO-577 npm lodash: from 0 fixed 4.17.5 npm lodash: from 5.0.0 fixed 5.1.0 low",
			"GHSA-35jh-r3h4-6jhm npm lodash: from 0 fixed 4.17.21 high",
			"RETIREJS-40e722e4ac npm lodash: from 0 fixed 4.17.20 low",
		}, []string{"without a version that it ends below"}},
		{"kev", kevDoc, []string{"CVE-2023-4911 kev CVE-2023-4911:"}, []string{`"CVE-2023-0000": "soon"`}},
		{"kev", `{"vulnerabilities": []}`, nil, []string{"not the catalogue"}},
		{"cve", cveDoc, []string{"CVE-2024-2961 severity CVE-2024-2961: CVSS:3.1/AV:L/AC:L/PR:N/UI:N/S:U/C:L/I:L/A:H"}, nil},
		{"cve", "[" + cveDoc + "," + strings.Replace(cveDoc, "PUBLISHED", "REJECTED", 1) + "]", []string{"CVE-2024-2961 severity CVE-2024-2961: CVSS:3.1/AV:L/AC:L/PR:N/UI:N/S:U/C:L/I:L/A:H", "none"}, nil},
		{"osv", `{"id": "GO-1", "affected": [{"package": {"ecosystem": "Go", "name": "m"}}]}`, []string{"GO-1 Go m:"}, nil},
		{"osv-yaml", "id: PYSEC-1\nmodified: 2023-07-25T16:31:58.309647Z\naffected:\n- package: {ecosystem: PyPI, name: zstd}\n  ranges:\n  - type: ECOSYSTEM\n    events:\n    - introduced: \"0\"\n", []string{"PYSEC-1 PyPI zstd: from 0"}, nil},
		{"osv-yaml", "id: [", nil, []string{""}},
		{"osv-severity", `{"id": "BIT-1", "aliases": ["CVE-2026-1"], "affected": [{"package": {"ecosystem": "Bitnami", "name": "m"}, "severity": [{"type": "CVSS_V2", "score": "AV:N/AC:L/Au:N/C:N/I:N/A:C"}]}]}`, []string{"BIT-1=CVE-2026-1 severity CVE-2026-1: AV:N/AC:L/Au:N/C:N/I:N/A:C"}, nil},
	}
	for _, tt := range tests {
		parse := formats[tt.format].parse
		if tt.format == debianTracker {
			parse = func(b []byte) ([]*advisory.Record, []error) { return parseTracker(b, nil) }
		}
		records, errs := parse([]byte(tt.in))
		var got []string
		for _, r := range records {
			got = append(got, brief(r))
			if r != nil && r.Check() != nil {
				t.Errorf("%s: %s", tt.format, r.Check())
			}
		}
		less := cmp.Diff(tt.want, got)
		if tt.format == debianTracker { // releases of one CVE come in the order of their code names
			less = cmp.Diff(len(tt.want), len(got))
			for _, w := range tt.want {
				if !strings.Contains(strings.Join(got, "\n"), w) {
					less += "\nmissing " + w
				}
			}
		}
		if less != "" {
			t.Errorf("%s (-want +got):\n%s\n%s", tt.format, less, strings.Join(got, "\n"))
		}
		if len(errs) != len(tt.errs) {
			t.Errorf("%s: errors %v, want %q", tt.format, errs, tt.errs)
			continue
		}
		for i, want := range tt.errs {
			if !strings.Contains(errors.Join(errs...).Error(), want) {
				t.Errorf("%s: error %d of %v has no %q", tt.format, i, errs, want)
			}
		}
	}
}

// TestSpans holds requirements and what is outside of them against versions.
func TestSpans(t *testing.T) {
	tests := []struct {
		system      semver.System
		requirement string
		inside, out string
	}{
		{semver.NPM, "*", "0.0.0-0 0.0.1 99.0.0", ""},
		{semver.NPM, "<1.6.5 || < 2.1.7 > 2.0.0", "0.1.0 1.6.4 2.0.1 2.1.6", "1.6.5 2.0.0 2.1.7"},
		{semver.NPM, "^1.2.3", "1.2.3 1.99.0", "1.2.2 2.0.0"},
		{semver.NPM, "~1.2", "1.2.0 1.2.99", "1.1.9 1.3.0"},
		{semver.NPM, "2.1.4", "2.1.4", "2.1.3 2.1.5"},
		{semver.NPM, ">1.0.0-rc.1", "1.0.0-rc.1.0 1.0.0-rc.2 1.0.0", "1.0.0-rc.1 0.9.0"},
		{semver.Cargo, ">= 1.2.3", "1.2.3 9.0.0", "1.2.2"},
		{semver.Cargo, "^0.3.1", "0.3.1 0.3.9", "0.3.0 0.4.0"},
		{semver.Cargo, "> 1.2.3", "1.2.4", "1.2.3"},
	}
	order, err := advisory.OrderOf(advisory.NPM)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		spans, err := spansOf(tt.system, tt.requirement)
		if err != nil {
			t.Errorf("%q: %v", tt.requirement, err)
			continue
		}
		check := func(what string, list []span, version string, want bool) {
			a := advisory.Affected{Ranges: []advisory.Range{{Type: advisory.Semver, Events: events(list)}}}
			if got, err := a.Covers(order, version); err != nil || got != want {
				t.Errorf("%s of %q has %q: %v, %v; want %v (%v)", what, tt.requirement, version, got, err, want, a.Ranges)
			}
		}
		for v := range strings.FieldsSeq(tt.inside) {
			check("the inside", spans, v, true)
			check("the outside", outside(spans), v, false)
		}
		for v := range strings.FieldsSeq(tt.out) {
			check("the inside", spans, v, false)
			check("the outside", outside(spans), v, true)
		}
	}
}

func TestFixDates(t *testing.T) {
	dates, err := parseFixDates([]byte("source\tfixed_version\tcve\tdistribution\tdate\nopenssl\t3.0.22-1~deb12u1\tCVE-2026-1\tbookworm\tFri,  1 May 2026 10:00:00 +0200\n"))
	if err != nil {
		t.Fatal(err)
	}
	records, _ := parseTracker([]byte(trackerDoc), dates)
	for _, r := range records {
		if r != nil && r.ID == "CVE-2026-1" && r.Affected[0].Package.Ecosystem == "Debian:12" {
			want := map[string]time.Time{"3.0.22-1~deb12u1": time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)}
			if diff := cmp.Diff(want, r.Affected[0].FixedOn); diff != "" {
				t.Errorf("dates (-want +got):\n%s", diff)
			}
			return
		}
	}
	t.Error("the record is missing")
}

func TestManifestRefuses(t *testing.T) {
	const good = "name: a, path: a, format: osv, licence: MIT, asOf: 2026-01-01"
	tests := []struct{ name, entry, want string }{
		{"no name", "path: a, format: osv, licence: MIT, asOf: 2026-01-01", "name is missing"},
		{"no licence", "name: a, path: a, format: osv, asOf: 2026-01-01", "licence is missing"},
		{"no date", "name: a, path: a, format: osv, licence: MIT", "asOf is missing"},
		{"no day", "name: a, path: a, format: osv, licence: MIT, asOf: today", "neither a day"},
		{"unknown format", "name: a, path: a, format: magic, licence: MIT, asOf: 2026-01-01", `unknown format "magic"`},
		{"unknown field", good + ", trust: me", "trust"},
		{"dates of another format", good + ", fixDates: x", "belongs to the format"},
	}
	for _, tt := range tests {
		if _, err := parseManifest([]byte("sources:\n  - {" + tt.entry + "}\n")); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %q", tt.name, err, tt.want)
		}
	}
	if _, err := parseManifest([]byte("sources:\n  - {" + good + "}\n  - {" + good + "}\n")); !fault.Is(err, fault.Invalid) {
		t.Errorf("twice: %v", err)
	}
}

// TestCarried builds packs of the sources that are carried with the code: every
// record of them can be read.
func TestCarried(t *testing.T) {
	b := new(pack.Builder)
	reports, err := Load(t.Context(), "../../testdata/advisories", b, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(reports) != 8 || len(b.Ecosystems()) != 6 {
		t.Errorf("%d sources, packs %v", len(reports), b.Ecosystems())
	}
}

func FuzzParsers(f *testing.F) {
	names := []string{"osv", "osv-yaml", "osv-severity", "rustsec", "nodejs-security-wg", "retire-npm", "kev", "cve"}
	for i, seed := range []string{"", "id: PYSEC-1\naffected: []", "[]", rustDoc, nodeDoc, retireDoc, kevDoc, cveDoc} {
		f.Add(uint8(i), []byte(seed))
	}
	f.Add(uint8(len(names)), []byte(trackerDoc))
	f.Fuzz(func(t *testing.T, n uint8, b []byte) {
		parse := func(b []byte) ([]*advisory.Record, []error) { return parseTracker(b, nil) }
		if i := int(n) % (len(names) + 1); i < len(names) {
			parse = formats[names[i]].parse
		}
		records, _ := parse(b)
		for _, r := range records {
			if r == nil || r.Check() != nil {
				continue
			}
			if _, err := new(pack.Builder).Add(pack.Source{Name: "fuzz"}, r); err != nil {
				t.Errorf("a checked record cannot be packed: %v", err)
			}
		}
	})
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte("sources:\n  - {name: a, path: a, format: osv, licence: MIT, asOf: 2026-01-01}\n"))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = parseManifest(b) })
}
