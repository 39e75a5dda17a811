package rpm

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	oracle "github.com/anchore/go-rpmdb/pkg"
	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/inventory"
)

// real are package databases of distributions, which the library that is our
// second opinion carries among its own tests: all three forms, both byte orders,
// files with MD5 and with SHA-256 digests.
var real = []struct{ file, algorithm string }{
	{"centos5-plain/Packages", "md5"},
	{"centos6-plain/Packages", "sha256"},
	{"centos8-modularitylabel/Packages", "sha256"},
	{"ubi8-s390x/Packages", "sha256"},
	{"sle15-bci/Packages.db", "sha256"},
	{"rockylinux-9/rpmdb.sqlite", "sha256"},
	{"cbl-mariner-2.0/rpmdb.sqlite", "sha256"},
}

// realFolder returns where the module's tests lie.
func realFolder(t testing.TB) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/anchore/go-rpmdb").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "pkg", "testdata")
}

func TestRealDatabases(t *testing.T) {
	folder := realFolder(t)
	for _, test := range real {
		t.Run(test.file, func(t *testing.T) {
			file := filepath.Join(folder, test.file)
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			db, err := oracle.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			list, err := db.ListPackages()
			if err != nil {
				t.Fatal(err)
			}
			found := extract(t, "var/lib/rpm/"+filepath.Base(file), content)
			var got []string
			for _, c := range found.Components {
				got = append(got, fmt.Sprintf("%s %s %s %s", c.Name, c.Version, c.Arch, c.Vendor))
			}
			slices.Sort(got)
			if diff := cmp.Diff(packagesOf(list), got); diff != "" {
				t.Errorf("packages (-oracle +ours):\n%s", diff)
			}
			claimed := map[inventory.Owned]bool{}
			for _, o := range found.Owned {
				claimed[o] = true
			}
			n := 0
			for _, want := range programsOf(t, list, test.algorithm) {
				if n++; !claimed[want] {
					t.Errorf("%+v is not claimed", want)
				}
			}
			if n < 200 || len(found.Owned) < n || len(found.Owned) > 4*n {
				t.Errorf("%d programs and %d claims", n, len(found.Owned))
			}
		})
	}
}

func packagesOf(list []*oracle.PackageInfo) (out []string) {
	for _, p := range list {
		epoch := ""
		if p.Epoch != nil {
			epoch = strconv.Itoa(*p.Epoch) + ":"
		}
		if p.Name != "gpg-pubkey" {
			out = append(out, fmt.Sprintf("%s %s%s-%s %s %s", p.Name, epoch, p.Version, p.Release, p.Arch, p.Vendor))
		}
	}
	slices.Sort(out)
	return out
}

// programsOf returns the regular files with an execute bit that the packages
// brought. Documentation is left out, which the images were told not to install:
// rpm keeps that in a tag that the oracle does not read.
func programsOf(t *testing.T, list []*oracle.PackageInfo, algorithm string) (out []inventory.Owned) {
	t.Helper()
	for _, p := range list {
		files, err := p.InstalledFiles()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			flags := int32(f.Flags)
			if strings.HasPrefix(f.Path, "/usr/share/doc/") || f.Mode&modeType != modeRegular || f.Mode&modeRun == 0 || flags&flagGhost != 0 {
				continue
			}
			o := inventory.Owned{Path: strings.TrimPrefix(f.Path, "/"), Package: p.Name, Type: inventory.RPM}
			if f.Digest != "" && flags&flagConfig == 0 {
				o.Sum = algorithm + ":" + f.Digest
			}
			out = append(out, o)
		}
	}
	return out
}

func BenchmarkExtract(b *testing.B) {
	content, err := os.ReadFile(filepath.Join(realFolder(b), "rockylinux-9/rpmdb.sqlite"))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		extract(b, "var/lib/rpm/rpmdb.sqlite", content)
	}
}
