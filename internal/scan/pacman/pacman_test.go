package pacman

import (
	"bytes"
	"compress/gzip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan/scantest"
)

const desc = `%NAME%
gcc-libs

%VERSION%
1:14.2.1+r134-1

%BASE%
gcc

%DESC%
Runtime libraries shipped by GCC
%NAME%

%ARCH%
x86_64

%PACKAGER%
Jane Doe <jane@example.org>

%LICENSE%
GPL-3.0-with-GCC-exception
GFDL-1.3-or-later

%DEPENDS%
glibc>=2.27

`

const (
	sum  = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	list = `#mtree
/set type=file uid=0 gid=0 mode=644
./.BUILDINFO time=1.0 size=3 sha256digest=` + sum + `
/set mode=755
./usr time=1.0 type=dir
./usr/bin/tool\040one time=1.0 size=10 md5digest=x sha256digest=` + sum + `
/set mode=644
./usr/lib/libx.so.1 time=1.0 size=10 sha256digest=` + sum + `
./usr/lib/libx.so time=1.0 mode=777 type=link link=libx.so.1
./usr/share/doc/x/run time=1.0 mode=755 sha256digest=` + sum + `
./usr/share/doc/x/README time=1.0 sha256digest=` + sum + `
./usr/lib/old time=1.0 md5digest=x
`
)

func compress(t testing.TB, s string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const folder = "var/lib/pacman/local/gcc-libs-1:14.2.1+r134-1/"

func TestDescription(t *testing.T) {
	found, err := Extractor{}.Extract(t.Context(), scantest.File(folder+"desc", []byte(desc)))
	if err != nil {
		t.Fatal(err)
	}
	want := []inventory.Component{{
		Kind: inventory.OS, Type: inventory.ALPM, Name: "gcc-libs", Version: "1:14.2.1+r134-1", Arch: "x86_64",
		SourceName: "gcc", SourceVersion: "1:14.2.1+r134-1", Vendor: "Jane Doe <jane@example.org>",
		Licences: []string{"GPL-3.0-with-GCC-exception", "GFDL-1.3-or-later"},
	}}
	if diff := cmp.Diff(want, found.Components); diff != "" {
		t.Errorf("components (-want +got):\n%s", diff)
	}
}

func TestFiles(t *testing.T) {
	found, err := Extractor{}.Extract(t.Context(), scantest.File(folder+"mtree", compress(t, list)))
	if err != nil {
		t.Fatal(err)
	}
	alpm := func(path, sum string) inventory.Owned {
		return inventory.Owned{Path: path, Package: "gcc-libs", Type: inventory.ALPM, Sum: sum}
	}
	want := []inventory.Owned{
		alpm("usr/bin/tool one", "sha256:"+sum), alpm("usr/lib/libx.so.1", "sha256:"+sum),
		alpm("usr/share/doc/x/run", "sha256:"+sum), alpm("usr/lib/old", ""),
	}
	if diff := cmp.Diff(want, found.Owned); diff != "" {
		t.Errorf("owned (-want +got):\n%s", diff)
	}
}

func TestHostile(t *testing.T) {
	bomb := compress(t, strings.Repeat("./usr/share/doc/x\n", maxTree/18+10))
	for name, test := range map[string]struct {
		base    string
		content []byte
	}{
		"no name":          {"desc", []byte("%VERSION%\n1-1\n")},
		"two names":        {"desc", []byte("%NAME%\na\nb\n\n%VERSION%\n1-1\n")},
		"endless line":     {"desc", []byte(strings.Repeat("x", lineSize+1))},
		"nothing":          {"desc", nil},
		"not compressed":   {"mtree", []byte(list)},
		"cut":              {"mtree", compress(t, list)[:60]},
		"a list that grew": {"mtree", bomb},
		"endless path":     {"mtree", compress(t, "./"+strings.Repeat("x", lineSize))},
	} {
		found, err := Extractor{}.Extract(t.Context(), scantest.File(folder+test.base, test.content))
		if !fault.Is(err, fault.Invalid) || len(found.Components) != 0 {
			t.Errorf("%s: %v, %v, want invalid", name, found.Components, err)
		}
	}
	f := scantest.File(folder+"desc", nil)
	f.Size = maxSize + 1
	if _, err := (Extractor{}).Extract(t.Context(), f); !fault.Is(err, fault.Invalid) {
		t.Errorf("too large: err = %v, want invalid", err)
	}
}

func TestWants(t *testing.T) {
	for path, want := range map[string]bool{
		folder + "desc": true, folder + "mtree": true, folder + "files": false, folder + "x/desc": false,
		"var/lib/pacman/local/ALPM_DB_VERSION": false, "opt/" + folder + "desc": false, "var/lib/pacman/sync/x/desc": false,
	} {
		if got := scantest.Wants(Extractor{}, path, nil); got != want {
			t.Errorf("Wants(%q) = %v", path, got)
		}
	}
}

func TestPackageOf(t *testing.T) {
	for in, want := range map[string]string{"gcc-libs-1:14.2.1+r134-1": "gcc-libs", "pacman-6.0.1-1": "pacman", "odd": "odd", "-1-1": "-1"} {
		if got := packageOf(in); got != want {
			t.Errorf("packageOf(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzDescription(f *testing.F) { scantest.Fuzz(f, Extractor{}, folder+"desc", desc) }

func FuzzFiles(f *testing.F) {
	f.Add([]byte(list))
	f.Fuzz(func(t *testing.T, content []byte) {
		found, err := Extractor{}.Extract(t.Context(), scantest.File(folder+"mtree", compress(t, string(content))))
		if err == nil && len(found.Owned) > len(content) {
			t.Errorf("%d files in %d bytes", len(found.Owned), len(content))
		}
	})
}
