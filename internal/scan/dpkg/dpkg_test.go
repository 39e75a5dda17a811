package dpkg

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan/scantest"
)

const status = `Package: zlib1g
Status: install ok installed
Priority: optional
Architecture: amd64
Multi-Arch: same
Source: zlib (1:1.2.13.dfsg-1)
Version: 1:1.2.13.dfsg-1+b1
Description: compression library - runtime
 zlib is a library.
 .
 Version: 9 is not a field of this paragraph

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1.0

Package: broken
Status: install reinstreq half-installed
Architecture: all
Version: 1.0

Package: unpacked
Status: install ok unpacked
Architecture: all
Source: other
Version: 2.0
`

func TestExtract(t *testing.T) {
	for _, test := range []struct {
		name, path, content string
		want                []string
	}{
		{"status", "var/lib/dpkg/status", status, []string{
			"zlib1g 1:1.2.13.dfsg-1+b1 < zlib 1:1.2.13.dfsg-1 (amd64)", "broken 1.0 < broken 1.0 (all)", "unpacked 2.0 < other 2.0 (all)",
		}},
		{"no newline at the end", "var/lib/dpkg/status", "Package: a\nStatus: install ok installed\nVersion: 1", []string{"a 1 < a 1"}},
		{"distroless", "var/lib/dpkg/status.d/base", "Package: base-files\nVersion: 12.4\nArchitecture: amd64\n", []string{"base-files 12.4 < base-files 12.4 (amd64)"}},
		{"a status that dpkg does not write", "var/lib/dpkg/status", "Package: a\nStatus: odd\nVersion: 1\n", []string{"a 1 < a 1"}},
		{"empty", "var/lib/dpkg/status", "", nil},
		{"long lines of other fields", "var/lib/dpkg/status", "Package: a\nStatus: install ok installed\nDepends: " + strings.Repeat("x, ", 1<<16) + "\nVersion: 1\n", []string{"a 1 < a 1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if !scantest.Wants(Extractor{}, test.path, []byte(test.content)) {
				t.Error("the file is not wanted")
			}
			found, err := Extractor{}.Extract(t.Context(), scantest.File(test.path, []byte(test.content)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, scantest.Summary(found.Components)); diff != "" {
				t.Errorf("components (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExtractRefuses(t *testing.T) {
	for name, content := range map[string]string{
		"paragraph without a package": "Version: 1\nStatus: install ok installed\n",
		"field twice":                 "Package: a\nPackage: b\n",
		"endless version":             "Package: a\nVersion: " + strings.Repeat("1", 1<<17) + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			good := "Package: good\nStatus: install ok installed\nVersion: 1\n\n"
			found, err := Extractor{}.Extract(t.Context(), scantest.File("var/lib/dpkg/status", []byte(good+content)))
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("err = %v, want invalid", err)
			}
			if len(found.Components) != 1 {
				t.Errorf("%d components were kept, want what came before", len(found.Components))
			}
		})
	}
}

func TestOwned(t *testing.T) {
	want := []inventory.Owned{{Path: "usr/lib/python3/dist-packages/x-1.dist-info/METADATA", Package: "python3-x", Type: inventory.Deb}}
	for path, content := range map[string]string{
		"var/lib/dpkg/info/python3-x:amd64.list":  "/.\n/usr\n/usr/lib/python3/dist-packages/x-1.dist-info/METADATA\n/usr/bin/x\n/opt/vendor/y.egg-info\n/usr/lib/node_modules/npm/package.json\n",
		"var/lib/dpkg/status.d/python3-x.md5sums": "d41d8cd98f00b204e9800998ecf8427e  usr/lib/python3/dist-packages/x-1.dist-info/METADATA\nshort\n",
	} {
		found, err := Extractor{}.Extract(t.Context(), scantest.File(path, []byte(content)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, found.Owned); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

func TestWants(t *testing.T) {
	for _, path := range []string{"var/lib/dpkg/status-old", "var/lib/dpkg/info/x.md5sums", "opt/var/lib/dpkg/status", "var/lib/dpkg/status.d/x/y"} {
		if scantest.Wants(Extractor{}, path, nil) {
			t.Errorf("%q is wanted", path)
		}
	}
}

// TestAgainstDpkg compares the extractor with dpkg itself on this machine.
func TestAgainstDpkg(t *testing.T) {
	const format = "${db:Status-Status}\t${binary:Package} ${Version} < ${source:Package} ${source:Version} (${Architecture})\n"
	out, err := exec.CommandContext(t.Context(), "dpkg-query", "-W", "-f", format).Output()
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatalf("dpkg-query is missing: %v", err)
	}
	if err != nil {
		t.Skipf("dpkg-query is missing on this machine: %v", err)
	}
	var want []string
	for line := range strings.Lines(string(out)) {
		state, rest, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if name, more, _ := strings.Cut(rest, " "); state == "installed" || state == "unpacked" {
			name, _, _ = strings.Cut(name, ":")
			want = append(want, name+" "+more)
		}
	}
	content, err := os.ReadFile("/var/lib/dpkg/status")
	if err != nil {
		t.Fatal(err)
	}
	found, err := Extractor{}.Extract(t.Context(), scantest.File("var/lib/dpkg/status", content))
	if err != nil {
		t.Fatal(err)
	}
	got := scantest.Summary(found.Components)
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("packages (-dpkg +ours):\n%s", diff)
	}
}

func FuzzExtract(f *testing.F) { scantest.Fuzz(f, Extractor{}, "var/lib/dpkg/status", status) }
