package feed_test

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"plimsoll/internal/advisory"
	"plimsoll/internal/feed"
	"plimsoll/internal/finding"
	"plimsoll/internal/inventory"
	"plimsoll/internal/match"
	"plimsoll/internal/pack"
)

// largeSet returns the folder of the large set of advisories. It is not part of
// the repository; where it is missing the test is skipped, but not on CI.
func largeSet(t testing.TB) string {
	t.Helper()
	for _, up := range []string{"../../../shared/advisories", "../../../../shared/advisories"} {
		if info, err := os.Stat(up); err == nil && info.IsDir() {
			return up
		}
	}
	const missing = "the large set of advisories (shared/advisories beside the repository) is missing"
	if os.Getenv("CI") == "true" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

// buildLarge builds packs of the large set and returns them with the reports.
func buildLarge(t testing.TB) (*pack.Store, []feed.Report) {
	t.Helper()
	from, dir := largeSet(t), t.TempDir()
	if err := os.Link("testdata/large-sources.yaml", filepath.Join(dir, "sources.yaml")); err != nil {
		copyFile(t, "testdata/large-sources.yaml", filepath.Join(dir, "sources.yaml"))
	}
	for _, name := range []string{
		"derived/bookworm-changelog-tracker.json", "derived/bookworm-changelog-cve.tsv", "osv/go-vulndb.tar.zst", "osv/pypa-advisory-database.tar.zst",
		"osv/rustsec-advisory-db.tar.zst", "osv/almalinux-osv-database.tar.zst", "npm/nodejs-security-wg-vuln.tar.zst", "npm/retirejs-repository.tar.zst",
		"kev/cisa-kev.tar.zst", "cve/cisagov-vulnrichment-2024-10-24.tar.zst",
	} {
		copyFile(t, filepath.Join(from, name), filepath.Join(dir, name))
	}
	b, began := new(pack.Builder), time.Now()
	reports, err := feed.Load(t.Context(), dir, b, feed.Options{SkipInvalid: true})
	if err != nil {
		t.Fatal(err)
	}
	packs := filepath.Join(dir, "packs")
	if _, err := pack.Build(t.Context(), packs, b); err != nil {
		t.Fatal(err)
	}
	t.Logf("built in %v", time.Since(began))
	store, err := pack.Open(packs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store, reports
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestLargeSet(t *testing.T) {
	store, reports := buildLarge(t)
	want := map[string][3]int{ // records, left out, invalid
		"debian-changelogs":      {4910, 0, 0},
		"go-vulndb":              {4274, 17, 0},
		"pypa-advisory-database": {2648, 10, 3},
		"rustsec-advisory-db":    {928, 277, 0},
		"nodejs-security-wg":     {466, 0, 1},
		"retire.js":              {501, 0, 6},
		"cisa-kev":               {1404, 0, 0},
		"cisa-vulnrichment":      {32765, 11365, 0},
		"almalinux":              {5680, 0, 0},
	}
	for _, r := range reports {
		if got := [3]int{r.Records, r.Left, len(r.Invalid)}; got != want[r.Source] {
			t.Errorf("%s: records, left out, invalid = %v, want %v: %q", r.Source, got, want[r.Source], r.Invalid)
		}
		delete(want, r.Source)
	}
	if len(want) > 0 {
		t.Errorf("not reported: %v", want)
	}
	for _, p := range store.Packs() {
		t.Logf("%s: %d records, %d packages, %.1f MB", p.Ecosystem, p.Records, p.Packages, float64(p.Size)/1e6)
	}
	m := match.New(store)
	t.Run("facts", func(t *testing.T) { testFacts(t, m) })
	t.Run("upgrades", func(t *testing.T) { testUpgrades(t, m) })
	t.Run("speed", func(t *testing.T) { testSpeed(t, m) })
}

func debian(source, version string) inventory.Component {
	return inventory.Component{Kind: inventory.OS, Type: inventory.Deb, Namespace: "debian", Name: source, Version: version}
}

func library(kind inventory.Type, namespace, name, version string) inventory.Component {
	return inventory.Component{Kind: inventory.Library, Type: kind, Namespace: namespace, Name: name, Version: version}
}

func find(t *testing.T, m *match.Matcher, cs ...inventory.Component) []finding.Finding {
	t.Helper()
	inv := &inventory.Inventory{Distro: inventory.Distro{ID: "debian", VersionID: "12"}, Components: cs}
	findings, _, err := m.Match(t.Context(), inv)
	if err != nil {
		t.Fatal(err)
	}
	return findings
}

// testFacts checks what the advisories' publishers say in public.
func testFacts(t *testing.T, m *match.Matcher) {
	tests := []struct {
		of    inventory.Component
		id    string
		fixed string // "" means that there must be no such finding
	}{
		{debian("openssl", "3.0.20-1~deb12u2"), "CVE-2026-42767", "3.0.22-1~deb12u1"},
		{debian("openssl", "3.0.22-1~deb12u1"), "CVE-2026-42767", ""},
		{debian("openssl", "3.0.22-1~deb12u1"), "CVE-2026-35189", "3.0.22-1~deb12u2"},
		{debian("expat", "2.5.0-1+deb12u2"), "CVE-2024-28757", "2.5.0-1+deb12u4"},
		{debian("expat", "2.5.0-1+deb12u2"), "CVE-2026-102633", "2.5.0-1+deb12u5"},
		{debian("nginx", "1.22.1-9+deb12u9"), "CVE-2026-113425", "1.22.1-9+deb12u11"},
		{debian("bind9", "1:9.18.49-1~deb12u1"), "CVE-2026-10723", "1:9.18.49-1~deb12u2"},
		{debian("postgresql-15", "15.18-0+deb12u1"), "CVE-2026-116303", "15.20-0+deb12u1"},
		{debian("redis", "5:7.0.15-1~deb12u7"), "CVE-2026-66373", "5:7.0.15-1~deb12u9"},
		{debian("libssh", "0.10.6-0+deb12u2"), "CVE-2026-0964", "0.10.6-0+deb12u3"},
		{debian("nodejs", "18.20.4+dfsg-1~deb12u2"), "CVE-2026-48618", "18.20.4+dfsg-1~deb12u3"},
		{debian("perl", "5.36.0-7+deb12u3"), "CVE-2026-12087", "5.36.0-7+deb12u4"},
		{debian("tomcat10", "10.1.55-1~deb12u1"), "CVE-2026-50229", "10.1.60-1~deb12u1"},
		{debian("glibc", "2.36-9+deb12u5"), "CVE-2024-2961", "2.36-9+deb12u6"},
		{debian("zlib", "1:1.2.13.dfsg-1"), "CVE-2023-45853", ""},
		{library("golang", "golang.org/x", "net", "v0.16.0"), "CVE-2023-39325", "v0.17.0"},
		{library("golang", "", "stdlib", "1.21.2"), "CVE-2023-39325", "1.21.3"},
		{library("golang", "golang.org/x", "net", "v0.17.0"), "CVE-2023-39325", ""},
		{library("pypi", "", "Jinja2", "2.11.2"), "CVE-2020-28493", "2.11.3"},
		{library("pypi", "", "Jinja2", "2.11.3"), "CVE-2020-28493", ""},
		{library("npm", "", "lodash", "4.17.4"), "CVE-2018-16487", "4.17.11"},
		{library("cargo", "", "smallvec", "1.6.0"), "CVE-2021-25900", "1.6.1"},
	}
	for _, tt := range tests {
		findings := find(t, m, tt.of)
		i := slices.IndexFunc(findings, func(f finding.Finding) bool { return f.ID == tt.id })
		switch {
		case i < 0 && tt.fixed != "":
			t.Errorf("%s %s: %s is missing among %d", tt.of.Name, tt.of.Version, tt.id, len(findings))
		case i >= 0 && findings[i].Fixed != tt.fixed:
			t.Errorf("%s %s: %s is fixed in %q, want %q", tt.of.Name, tt.of.Version, tt.id, findings[i].Fixed, tt.fixed)
		}
	}
	glibc := find(t, m, debian("glibc", "2.36-9+deb12u2"))
	i := slices.IndexFunc(glibc, func(f finding.Finding) bool { return f.ID == "CVE-2023-4911" })
	if i < 0 || !glibc[i].Exploited || glibc[i].FixedSince.Year() != 2023 {
		t.Errorf("CVE-2023-4911 of glibc: exploited in the wild since 2023, got %v", glibc)
	}
	if f := find(t, m, debian("glibc", "2.36-9+deb12u5")); !slices.ContainsFunc(f, func(f finding.Finding) bool {
		return f.ID == "CVE-2024-2961" && f.Severity == advisory.High && f.Score == 7.3
	}) {
		t.Errorf("CVE-2024-2961 has no CVSS score")
	}
}

// testUpgrades: Debian's own updates end the findings that they say they end.
func testUpgrades(t *testing.T, m *match.Matcher) {
	b, err := os.ReadFile(filepath.Join(largeSet(t), "derived/bookworm-main-vs-security.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	rows, missed, kept := 0, 0, 0
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	column := map[string]int{}
	for i, name := range strings.Split(lines[0], "\t") {
		column[name] = i
	}
	for _, line := range lines[1:] {
		f := strings.Split(line, "\t")
		source, cve := f[column["source"]], f[column["cve"]]
		if !strings.HasPrefix(cve, "CVE-") {
			continue
		}
		rows++
		has := func(version string) bool {
			return slices.ContainsFunc(find(t, m, debian(source, version)), func(f finding.Finding) bool { return f.ID == cve })
		}
		if !has(f[column["main_version"]]) {
			missed++
		}
		if has(f[column["security_version"]]) {
			kept++
			t.Errorf("%s %s still has %s", source, f[column["security_version"]], cve)
		}
	}
	t.Logf("%d pairs of source and CVE: %d not found before the update, %d still found after it", rows, missed, kept)
	if rows < 500 || missed*100 > rows*5 { // CVEs that an earlier entry fixed first are no holes of main
		t.Errorf("%d of %d pairs are not found", missed, rows)
	}
}

// testSpeed matches 500 components, most of which are known.
func testSpeed(t *testing.T, m *match.Matcher) {
	var cs []inventory.Component
	for i := range 100 {
		name := []string{"openssl", "glibc", "bash", "python3.11", "perl", "curl", "systemd", "expat", "coreutils", "git"}[i%10]
		cs = append(cs, debian(name, "1.0-"+strings.Repeat("1", i/10+1)))
		cs = append(cs, library("golang", "golang.org/x", "net", "v0.1."+strings.Repeat("1", i/10+1)), library("pypi", "", "django", "4.2."+strings.Repeat("1", i/10+1)))
		cs = append(cs, library("npm", "", "lodash", "4.17.4"), library("cargo", "", "smallvec", "1.6.0"))
	}
	for _, state := range []string{"packs closed", "packs open"} {
		began := time.Now()
		n := len(find(t, m, cs...))
		t.Logf("%s: %d components, %d findings in %v", state, len(cs), n, time.Since(began))
	}
}
