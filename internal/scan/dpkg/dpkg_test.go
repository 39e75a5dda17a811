package dpkg

import (
	"os"
	"os/exec"
	"path/filepath"
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
		{"a name with dots", "var/lib/dpkg/status.d/libpython3.11-minimal", "Package: libpython3.11-minimal\nVersion: 3.11.2-6\n", []string{"libpython3.11-minimal 3.11.2-6 < libpython3.11-minimal 3.11.2-6"}},
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

const (
	metadata = "usr/lib/python3/dist-packages/x-1.dist-info/METADATA"
	empty    = "d41d8cd98f00b204e9800998ecf8427e"
)

func TestOwned(t *testing.T) {
	deb := func(path, pkg, sum string) inventory.Owned {
		return inventory.Owned{Path: path, Package: pkg, Type: inventory.Deb, Sum: sum}
	}
	for _, test := range []struct {
		path, content string
		want          []inventory.Owned
	}{
		{
			"var/lib/dpkg/info/python3-x:amd64.list",
			"/.\n/usr\n/usr/lib\n/usr/lib/python3\n/" + metadata + "\n/usr/bin\n/usr/bin/x\n/usr/bin/x2\n/usr/lib/x\n/usr/lib/libx.so.1\n/opt/vendor/y.egg-info\n/usr/lib/node_modules/npm/package.json\n/usr/share/doc/x/copyright\n",
			[]inventory.Owned{deb(metadata, "python3-x", ""), deb("usr/bin/x", "python3-x", ""), deb("usr/bin/x2", "python3-x", ""), deb("usr/lib/libx.so.1", "python3-x", "")},
		},
		{
			"var/lib/dpkg/info/python3-x:amd64.md5sums",
			empty + "  " + metadata + "\n" + empty + "  usr/bin/x\nshort\n" + empty + " *./usr/bin/y\n" + empty + "  usr/include/x.h\n",
			[]inventory.Owned{deb(metadata, "python3-x", "md5:"+empty), deb("usr/bin/x", "python3-x", "md5:"+empty), deb("usr/bin/y", "python3-x", "md5:"+empty)},
		},
		{"var/lib/dpkg/status.d/base-files.md5sums", empty + "  bin/x\n", []inventory.Owned{deb("bin/x", "base-files", "md5:"+empty)}},
		{"var/lib/dpkg/status.d/cron.preinst", "#!/bin/sh\n# Package: x\nVersion:", []inventory.Owned{deb("var/lib/dpkg/status.d/cron.preinst", "cron", "")}},
		{"var/lib/dpkg/info/cron.postinst", "#!/bin/sh\n", []inventory.Owned{deb("var/lib/dpkg/info/cron.postinst", "cron", "")}},
		{
			"var/lib/dpkg/diversions",
			"/usr/bin/pg_config\n/usr/bin/pg_config.libpq-dev\npostgresql-common\n/bin/x\n/bin/x.distrib\n:\n/usr/share/man/man1/sh.1.gz\n/usr/share/man/man1/sh.distrib.1.gz\ndash\n",
			[]inventory.Owned{deb("usr/bin/pg_config.libpq-dev", "postgresql-common", ""), deb("bin/x.distrib", "dpkg", "")},
		},
		{
			"var/lib/dpkg/status",
			"Package: cron\nStatus: install ok installed\nConffiles:\n /etc/init.d/cron " + empty + "\n /etc/cron.daily/a b " + empty + " obsolete\n /etc/new newconffile\nVersion: 3\n /etc/no " + empty + "\n",
			[]inventory.Owned{deb("etc/init.d/cron", "cron", "md5:"+empty), deb("etc/cron.daily/a b", "cron", "md5:"+empty), deb("etc/new", "cron", "")},
		},
	} {
		if !scantest.Wants(Extractor{}, test.path, []byte(test.content)) {
			t.Errorf("%s is not wanted", test.path)
		}
		found, err := Extractor{}.Extract(t.Context(), scantest.File(test.path, []byte(test.content)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, found.Owned); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.path, diff)
		}
	}
}

func TestVendor(t *testing.T) {
	found, err := Extractor{}.Extract(t.Context(), scantest.File("var/lib/dpkg/status.d/a", []byte("Package: a\nMaintainer: Jane Doe <jane@example.org>\n")))
	if err != nil || len(found.Components) != 1 || found.Components[0].Vendor != "Jane Doe <jane@example.org>" {
		t.Errorf("%+v, %v", found.Components, err)
	}
}

func TestTerms(t *testing.T) {
	const doc = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
License: all-of-it

Files: *
Copyright: 2001 Jane Doe
License: GPL-2+
 This is free software: see
 /usr/share/common-licenses/GPL-2.

Files: debian/*
License: GPL-2+

Files: lib/*
Copyright: 2004
License: Expat or Artistic-1.0

License: Apache-2.0
 spelled out
`
	const path = "usr/share/doc/zlib1g/copyright"
	if !scantest.Wants(Extractor{}, path, []byte(doc)) {
		t.Error("a machine-readable copyright file is not wanted")
	}
	found, err := Extractor{}.Extract(t.Context(), scantest.File(path, []byte(doc)))
	if err != nil {
		t.Fatal(err)
	}
	want := []inventory.Terms{{Package: "zlib1g", Type: inventory.Deb, Licences: []string{"GPL-2+", "Expat or Artistic-1.0"}}}
	if diff := cmp.Diff(want, found.Terms); diff != "" {
		t.Errorf("terms (-want +got):\n%s", diff)
	}
}

func TestWants(t *testing.T) {
	for _, path := range []string{
		"var/lib/dpkg/status-old", "var/lib/dpkg/info/x.triggers", "opt/var/lib/dpkg/status", "var/lib/dpkg/status.d/x/y",
		"var/lib/dpkg/info/x/y.list", "var/lib/dpkg/status.d/x.conffiles", "var/lib/dpkg/info/x", "var/lib/dpkg/triggers/x.list", "usr/share/doc/x/copyright", "usr/share/doc/x/y/copyright", "var/lib/dpkg/info",
	} {
		if scantest.Wants(Extractor{}, path, []byte("This package was")) {
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

func FuzzLists(f *testing.F) {
	scantest.Fuzz(f, Extractor{}, "var/lib/dpkg/info/x.list", "/.\n/usr\n/usr/bin\n/usr/bin/x\n")
}

func FuzzSums(f *testing.F) {
	scantest.Fuzz(f, Extractor{}, "var/lib/dpkg/info/x.md5sums", empty+"  usr/bin/x\n")
}

func FuzzCopyright(f *testing.F) {
	scantest.Fuzz(f, Extractor{}, "usr/share/doc/x/copyright", "Format: x\n\nFiles: *\nLicense: MIT\n")
}

// BenchmarkSums reads the sums that this machine's own packages have.
func BenchmarkSums(b *testing.B) {
	names, err := filepath.Glob("/var/lib/dpkg/info/*.md5sums")
	if err != nil || len(names) == 0 {
		b.Skip("this machine has no package database of dpkg")
	}
	var files [][]byte
	var size int64
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			b.Fatal(err)
		}
		files = append(files, content)
		size += int64(len(content))
	}
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		for i, content := range files {
			if _, err := (Extractor{}).Extract(b.Context(), scantest.File(names[i][1:], content)); err != nil {
				b.Fatal(err)
			}
		}
	}
}
