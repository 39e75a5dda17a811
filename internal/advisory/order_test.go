package advisory_test

import (
	"archive/tar"
	"bufio"
	"cmp"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	apk "github.com/knqyf263/go-apk-version"
	deb "github.com/knqyf263/go-deb-version"
	rpm "github.com/knqyf263/go-rpm-version"

	"plimsoll/internal/advisory"
	"plimsoll/internal/fault"
)

func TestOrder(t *testing.T) {
	tests := []struct {
		ecosystem advisory.Ecosystem
		ascending string // one order, oldest first; "=" joins equals
	}{
		{"Debian:12", "1.0~~ 1.0~~a 1.0~ 1.0=1.0-0=1.0-00 1.0a 1.0+b 1:0.1"},
		{"Debian:12", "3.0.20-1~deb12u2 3.0.22-1~deb12u1 3.0.22-1~deb12u2 3.0.22-1"},
		{"Debian:12", "2.36-9+deb12u6 2.36-9+deb12u10"},
		{"Debian:12", "1.2.13.dfsg-1 1:1.2.13.dfsg-1 2:0"},
		{"AlmaLinux:9", "1.0~rc1-1 1.0-1 1.0^git1-1 1.0a-1 1.0.1-1 2-1 1:0-1"},
		{"AlmaLinux:9", "1.0^-1 1.0^1-1 1.01-1=1.1-1 1.10-1"},
		{"AlmaLinux:9", "1.a-1 1.1-1 1.1-2.el9_3 1.1-2.el9_10"},
		{"Alpine:v3.19", "1.0_alpha 1.0_alpha1 1.0_beta 1.0_rc2 1.0 1.0-r1 1.0_git20230101 1.0_p1 1.0a 1.0.1 1.1"},
		{"Alpine:v3.19", "1.01 1.1 1.2.3-r4 1.2.3-r10"},
		{"Go", "0.0.0-20190101000000-abcdefabcdef v0.1.0 v1.0.0-rc.1 1.0.0=v1.0.0+incompatible 1.22.1 1.22.10"},
		{"npm", "1.0.0-alpha 1.0.0-alpha.1 1.0.0-beta.2 1.0.0-beta.11 1.0.0 1.0.1 1.10.0"},
		{"PyPI", "1.0.dev1 1.0a1 1.0b2 1.0rc1 1.0=1.0.0=v1.0 1.0.post1 1!0.5"},
		{"crates.io", "0.1.0-pre 0.1.0 0.1.1 1.0.0"},
	}
	for _, tt := range tests {
		order, err := advisory.OrderOf(tt.ecosystem)
		if err != nil {
			t.Fatal(err)
		}
		groups := strings.Fields(tt.ascending)
		for i, a := range groups {
			for j, b := range groups {
				for x := range strings.SplitSeq(a, "=") {
					for y := range strings.SplitSeq(b, "=") {
						if got, err := order(x, y); err != nil || sign(got) != cmp.Compare(i, j) {
							t.Errorf("%s: compare(%q, %q) = %d, %v; want %d", tt.ecosystem, x, y, got, err, cmp.Compare(i, j))
						}
					}
				}
			}
		}
	}
}

func TestOrderRefuses(t *testing.T) {
	tests := []struct {
		ecosystem advisory.Ecosystem
		version   string
	}{
		{"Debian:12", ""},
		{"Debian:12", "1:"},
		{"Debian:12", "1 2"},
		{"Debian:12", "1\x1b[2J"},
		{"AlmaLinux:9", ""},
		{"AlmaLinux:9", "-1"},
		{"AlmaLinux:9", "1\n"},
		{"Alpine:v3.19", ""},
		{"Alpine:v3.19", "a1"},
		{"Alpine:v3.19", "1_nonsense"},
		{"Alpine:v3.19", "1-r"},
		{"Go", "(devel)"},
		{"Go", ""},
		{"npm", ""},
		{"npm", "1.x"},
		{"npm", "latest"},
		{"PyPI", "unknown"},
		{"crates.io", "one"},
		{"Go", "v1." + strings.Repeat("9", 600)},
	}
	for _, tt := range tests {
		order, err := advisory.OrderOf(tt.ecosystem)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := order(tt.version, tt.version); err == nil {
			t.Errorf("%s: version %q was taken, %d", tt.ecosystem, tt.version, got)
		}
	}
	if _, err := advisory.OrderOf("Homebrew"); !fault.Is(err, fault.Invalid) {
		t.Errorf("an unknown ecosystem has an order: %v", err)
	}
}

func sign(n int) int { return cmp.Compare(n, 0) }

// theirs compares as other people's code does; ok is false where it does not
// take a version.
type theirs func(a, b string) (c int, ok bool)

func dpkgTheirs(a, b string) (int, bool) {
	x, err := deb.NewVersion(a)
	if err != nil {
		return 0, false
	}
	y, err := deb.NewVersion(b)
	return x.Compare(y), err == nil
}

func rpmTheirs(a, b string) (int, bool) {
	return rpm.NewVersion(a).Compare(rpm.NewVersion(b)), true
}

func apkTheirs(a, b string) (int, bool) {
	x, err := apk.NewVersion(a)
	if err != nil {
		return 0, false
	}
	y, err := apk.NewVersion(b)
	return x.Compare(y), err == nil
}

// TestOrderAsOthers compares every pair of a set of versions that occur, with
// the comparison of an independent implementation.
func TestOrderAsOthers(t *testing.T) {
	tests := []struct {
		ecosystem advisory.Ecosystem
		theirs    theirs
		versions  string
	}{
		{"Debian:12", dpkgTheirs, `1.0 1.0-1 1.0-1~deb12u1 1.0-1+b1 2:1.0-1 0.0~git20200101-1 3.0.22-1~deb12u2 1.2.13.dfsg-1
			15.20-0+deb12u1 22.01+really25.01+dfsg-0+deb12u1 1.0a-1 1.0A-1 1.0.-1 1.0..1-1 1.00-1 5.36.0-7+deb12u4 1.0-1-1 1.0-1.1`},
		{"AlmaLinux:9", rpmTheirs, `1.0-1 1.0-1.el9 1.0-1.el9_4 1.0-10.el9 1:1.0-1 2:0.9-3.el9 1.0~rc1-1 1.0~rc2-1 1.0.1-1 1.0.1a-1
			1.0.a-1 20230101-1 1.0.0.0-1 1.0_2-3 1.0+git-1`},
		{"Alpine:v3.19", apkTheirs, `1.0-r0 1.0-r1 1.0.1-r0 1.0_alpha-r0 1.0_alpha2-r0 1.0_beta1-r0 1.0_rc1-r0 1.0_p1-r0 1.0_git20200101-r0
			1.0a-r0 1.0b-r0 1.10-r0 1.2-r0 2.0-r0 20230101-r0 1.36.1-r15 1.36.1-r2`},
	}
	for _, tt := range tests {
		order, err := advisory.OrderOf(tt.ecosystem)
		if err != nil {
			t.Fatal(err)
		}
		versions := strings.Fields(tt.versions)
		for _, a := range versions {
			for _, b := range versions {
				want, ok := tt.theirs(a, b)
				got, err := order(a, b)
				if err != nil || !ok || sign(got) != sign(want) {
					t.Errorf("%s: compare(%q, %q) = %d, %v; others say %d, %v", tt.ecosystem, a, b, got, err, want, ok)
				}
			}
		}
	}
}

// TestOrderLists holds the orders against the lists of google/osv-scalibr
// (Apache-2.0), which were made with the package managers themselves.
func TestOrderLists(t *testing.T) {
	dir := t.TempDir()
	large(t, "ground-truth/osv-scalibr-version-order.tar.zst", dir)
	tests := []struct {
		list      string
		ecosystem advisory.Ecosystem
		lines     int // of comparisons in the list
		refused   int // of them name something that is not a version
	}{
		{"debian-versions.txt", "Debian:12", 30, 0},
		{"debian-versions-generated.txt", "Debian:12", 14442, 0},
		{"redhat-versions.txt", "AlmaLinux:9", 165, 13},
		{"alpine-versions.txt", "Alpine:v3.19", 778, 33},
		{"alpine-versions-generated.txt", "Alpine:v3.19", 13979, 0},
		{"pypi-versions.txt", "PyPI", 37, 11},
		{"pypi-versions-generated.txt", "PyPI", 12375, 69},
		{"semver-versions.txt", "npm", 86, 3},
		{"maven-versions.txt", "Maven", 102, 3},
		{"maven-versions-generated.txt", "Maven", 14752, 0},
		{"nuget-versions.txt", "NuGet", 35, 2},
		{"rubygems-versions.txt", "RubyGems", 25, 4},
		{"rubygems-versions-generated.txt", "RubyGems", 4098, 0},
	}
	for _, tt := range tests {
		t.Run(tt.list, func(t *testing.T) {
			lines, refused := compareList(t, filepath.Join(dir, "semantic", "testdata", tt.list), tt.ecosystem)
			if lines != tt.lines || refused != tt.refused {
				t.Errorf("%d lines, %d refused; want %d, %d", lines, refused, tt.lines, tt.refused)
			}
		})
	}
}

func compareList(t *testing.T, path string, e advisory.Ecosystem) (lines, refused int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	order, err := advisory.OrderOf(e)
	if err != nil {
		t.Fatal(err)
	}
	signs := map[string]int{"<": -1, "=": 0, ">": 1}
	// The library that orders RubyGems takes these for equal.
	equal := []string{"3.0.0.alpha.5.0.3 < 3.0.0.alpha.5.0.4", "3.0.0.alpha.5.0.4 < 3.0.0.alpha.5.0.5", "3.0.0.alpha.5.0.5 < 3.0.0.alpha.5.0.5.1"}
	for s := bufio.NewScanner(f); s.Scan(); {
		fields := strings.Fields(s.Text())
		if len(fields) != 3 || strings.ContainsAny(fields[0][:1], "#/") {
			continue
		}
		lines++
		got, err := order(fields[0], fields[2])
		switch {
		case err != nil:
			refused++
		case slices.Contains(equal, s.Text()) && got == 0:
		case sign(got) != signs[fields[1]]:
			t.Errorf("%s: got %d", s.Text(), got)
		}
	}
	return lines, refused
}

// large unpacks a pack of the large set of test data. It is not part of the
// repository; where it is missing the test is skipped, but not on CI.
func large(t *testing.T, name, dir string) {
	t.Helper()
	f, err := os.Open(filepath.Join("../../../shared/advisories", name))
	if err != nil {
		f, err = os.Open(filepath.Join("../../../../shared/advisories", name))
	}
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("the large set of advisories is missing: %v", err)
		}
		t.Skipf("the large set of advisories is missing: %v", err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f, zstd.WithDecoderMaxMemory(1<<30))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeDir {
			if err := root.MkdirAll(filepath.Clean(h.Name), 0o700); err != nil {
				t.Fatal(err)
			}
			continue
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := root.MkdirAll(filepath.Dir(filepath.Clean(h.Name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := root.WriteFile(filepath.Clean(h.Name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
