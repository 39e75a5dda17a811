package rpm

import (
	"bytes"
	"database/sql"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	oracle "github.com/anchore/go-rpmdb/pkg"
	"github.com/google/go-cmp/cmp"
	_ "modernc.org/sqlite"

	"plimsoll/internal/fault"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/scantest"
)

func extract(t testing.TB, path string, b []byte) inventory.Found {
	t.Helper()
	if !scantest.Wants(Extractor{}, path, b) {
		t.Errorf("%q is not wanted", path)
	}
	found, err := Extractor{}.Extract(t.Context(), scantest.File(path, b))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// databases returns the same packages in the three forms. rpmdb.sqlite was made
// by rpm, Packages from its headers by Berkeley DB's own tool.
func databases(t testing.TB) map[string][]byte {
	t.Helper()
	return map[string][]byte{
		"var/lib/rpm/rpmdb.sqlite":         testdata(t, "rpmdb.sqlite"),
		"var/lib/rpm/Packages":             testdata(t, "Packages"),
		"usr/lib/sysimage/rpm/Packages.db": ndb(headers(t, testdata(t, "rpmdb.sqlite"))),
	}
}

// headers returns those in a database.
func headers(t testing.TB, db []byte) (out [][]byte) {
	t.Helper()
	err := readSQLite(sourceOfBytes(db), func(h []byte) error {
		out = append(out, bytes.Clone(h))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func sourceOfBytes(b []byte) *source {
	return &source{ReaderAt: bytes.NewReader(b), left: int64(len(b))}
}

// ndb writes rpm's own form of database.
func ndb(headers [][]byte) []byte {
	out := make([]byte, ndbPage)
	copy(out, "RpmP")
	out[12] = 1
	for i := ndbHeader; i < ndbPage; i += ndbSlot {
		copy(out[i:], "Slot")
	}
	for i, h := range headers {
		slot := out[ndbHeader+i*ndbSlot:]
		blocks := (blockSize + len(h) + 12 + blockSize - 1) / blockSize
		for k, v := range []int{i + 1, len(out) / blockSize, blocks} {
			binary.LittleEndian.PutUint32(slot[4+4*k:], uint32(v))
		}
		blob := make([]byte, blocks*blockSize)
		copy(blob, "BlbS")
		binary.LittleEndian.PutUint32(blob[4:], uint32(i+1))
		binary.LittleEndian.PutUint32(blob[12:], uint32(len(h)))
		copy(blob[blockSize:], h)
		out = append(out, blob...)
	}
	return out
}

func TestExtract(t *testing.T) {
	for path, b := range databases(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			found := extract(t, path, b)
			slices.SortFunc(found.Components, func(a, b inventory.Component) int { return strings.Compare(a.Name, b.Name) }) // a hash has no order
			want := []string{
				"plimsoll-one 2:1.4.0-3.el9 < plimsoll-one 1.4.0-3.el9 (noarch)",
				"plimsoll-two-libs 0.9-1 < plimsoll-two-libs 0.9-1 (noarch)",
			}
			if diff := cmp.Diff(want, scantest.Summary(found.Components)); diff != "" {
				t.Errorf("components (-want +got):\n%s", diff)
			}
			owned := []inventory.Owned{{Path: "usr/lib/python3.9/site-packages/demo-1.4.0.dist-info/METADATA", Package: "plimsoll-one", Type: inventory.RPM, Sum: "sha256:87f8ee1513351cd5345389e376338b2e9f7c1ff7c60c03d6dd2541a8dba6e02f"}}
			if diff := cmp.Diff(owned, found.Owned); diff != "" {
				t.Errorf("owned (-want +got):\n%s", diff)
			}
			if c := found.Components[0]; c.Module != "demo:1:20260101:abc" || !slices.Equal(c.Licences, []string{"MIT"}) {
				t.Errorf("module %q, licences %q", c.Module, c.Licences)
			}
		})
	}
}

// TestAgainstOracle compares with an independent reader of the three forms.
func TestAgainstOracle(t *testing.T) {
	for path, b := range databases(t) {
		file := filepath.Join(t.TempDir(), filepath.Base(path))
		if err := os.WriteFile(file, b, 0o600); err != nil {
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
		var want []string
		for _, p := range list {
			epoch := ""
			if p.Epoch != nil {
				epoch = strconv.Itoa(*p.Epoch) + ":"
			}
			want = append(want, fmt.Sprintf("%s %s%s-%s %s %s", p.Name, epoch, p.Version, p.Release, p.Arch, p.Modularitylabel))
		}
		var got []string
		for _, c := range extract(t, path, b).Components {
			got = append(got, fmt.Sprintf("%s %s %s %s", c.Name, c.Version, c.Arch, c.Module))
		}
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-oracle +ours):\n%s", path, diff)
		}
	}
}

// TestSQLiteTrees compares the walk of a large database, of inner pages and
// chains of every length, with SQLite itself.
func TestSQLiteTrees(t *testing.T) {
	for _, pageSize := range []int{512, 4096, 65536} {
		t.Run(strconv.Itoa(pageSize), func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "db")
			db, err := sql.Open("sqlite", file)
			if err != nil {
				t.Fatal(err)
			}
			rows := 400
			random := rand.New(rand.NewPCG(1, 2))
			do := func(q string, args ...any) {
				t.Helper()
				if _, err := db.ExecContext(t.Context(), q, args...); err != nil {
					t.Fatal(err)
				}
			}
			do(fmt.Sprintf("PRAGMA page_size=%d", pageSize))
			do("PRAGMA synchronous=OFF")
			do("PRAGMA journal_mode=OFF")
			do("CREATE TABLE Other (x)")
			do("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
			var want [][]byte
			for i := range rows {
				b := make([]byte, 1+random.IntN(1+(i*i)%30000))
				for k := range b {
					b[k] = byte(i + k>>8)
				}
				do("INSERT INTO Packages (blob) VALUES (?)", b)
				do("INSERT INTO Other VALUES (?)", b)
				want = append(want, b)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got := headers(t, content); !slices.EqualFunc(got, want, bytes.Equal) {
				t.Errorf("%d rows differ from SQLite's %d", len(got), len(want))
			}
		})
	}
}

func TestHostileDatabases(t *testing.T) {
	base := testdata(t, "rpmdb.sqlite")
	change := func(b []byte, at int, with ...byte) []byte {
		b = bytes.Clone(b)
		copy(b[at:], with)
		return b
	}
	bdb := testdata(t, "Packages")
	small := ndb(headers(t, base))
	for name, b := range map[string][]byte{
		"nothing":                        nil,
		"no database":                    []byte("this is no package database"),
		"view in the place of the table": bytes.Replace(base, []byte("tablePackages"), []byte("viewvPackages"), 1),
		"page of zero bytes":             change(base, 16, 0, 0),
		"cut in the middle":              base[:6000],
		"UTF-16":                         change(base, 56, 0, 0, 0, 2),
		"Berkeley DB cut":                bdb[:9000],
		"Berkeley DB, encrypted":         change(bdb, 24, 1),
		"Berkeley DB, page of 3 bytes":   change(bdb, 20, 3, 0, 0, 0),
		"slot that leads away":           change(small, ndbHeader+8, 0xff, 0xff, 0xff, 0xff),
		"slot of another package":        change(small, ndbHeader+4, 9),
		"larger than the file":           change(small, ndbPage+12, 0xff, 0xff, 0xff, 0x7f),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Extractor{}.Extract(t.Context(), scantest.File("var/lib/rpm/Packages", b))
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("err = %v, want invalid", err)
			}
		})
	}
}

// TestBlobsThatShareBytes: a database in which many slots name one large blob
// must not cost more than its size.
func TestBlobsThatShareBytes(t *testing.T) {
	b := ndb(headers(t, testdata(t, "rpmdb.sqlite")))
	for i := ndbHeader; i < ndbPage; i += ndbSlot {
		copy(b[i:], b[ndbHeader:ndbHeader+ndbSlot])
	}
	if _, err := (Extractor{}).Extract(t.Context(), scantest.File("var/lib/rpm/Packages.db", b)); !fault.Is(err, fault.Invalid) {
		t.Errorf("err = %v, want invalid", err)
	}
}

func TestWriteAheadLog(t *testing.T) {
	const path = "var/lib/rpm/rpmdb.sqlite-wal"
	if scantest.Wants(Extractor{}, path, nil) {
		t.Error("an empty log is wanted")
	}
	if _, err := (Extractor{}).Extract(t.Context(), scantest.File(path, []byte("x"))); !fault.Is(err, fault.Invalid) {
		t.Errorf("err = %v: changes that lie in the log are passed over", err)
	}
}

func TestSourceOf(t *testing.T) {
	for in, want := range map[string]string{
		"bash-5.1.8-9.el9.src.rpm": "bash 5.1.8-9.el9", "java-17-openjdk-17.0.1-2.src.rpm": "java-17-openjdk 17.0.1-2",
		"x-1-2.nosrc.rpm": "x 1-2", "(none)": " ", "a.src.rpm": " ", "-1-2.src.rpm": " ",
	} {
		name, version := sourceOf(in)
		if got := name + " " + version; got != want {
			t.Errorf("sourceOf(%q) = %q, want %q", in, got, want)
		}
	}
}

var _ scan.Extractor = Extractor{}

func FuzzExtract(f *testing.F) {
	var seeds []string
	for _, b := range databases(f) {
		seeds = append(seeds, string(b))
	}
	scantest.Fuzz(f, Extractor{}, "var/lib/rpm/Packages", seeds...)
}

func FuzzHeader(f *testing.F) {
	for _, h := range headers(f, testdata(f, "rpmdb.sqlite")) {
		f.Add(h)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := parseHeader(b)
		if err == nil && p.name == "" {
			t.Error("a package without a name")
		}
	})
}
