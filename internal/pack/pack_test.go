package pack_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/advisory"
	"plimsoll/internal/fault"
	"plimsoll/internal/pack"
)

func day(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return t
}

var source = pack.Source{Name: "made", Licence: "CC0-1.0", AsOf: day("2026-08-21")}

// record returns one of a name that says a package is fixed in 1.2.3.
func record(id string, e advisory.Ecosystem, name string) *advisory.Record {
	return &advisory.Record{ID: id, Summary: "A hole", Affected: []advisory.Affected{{
		Package: advisory.Package{Ecosystem: e, Name: name},
		Ranges:  []advisory.Range{{Type: advisory.Semver, Events: []advisory.Event{{Introduced: "0"}, {Fixed: "1.2.3"}}}},
	}}}
}

func builder(t *testing.T, records ...*advisory.Record) *pack.Builder {
	t.Helper()
	b := new(pack.Builder)
	for _, r := range records {
		if _, err := b.Add(source, r); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func build(t *testing.T, dir string, records ...*advisory.Record) []pack.Info {
	t.Helper()
	infos, err := pack.Build(t.Context(), dir, builder(t, records...))
	if err != nil {
		t.Fatal(err)
	}
	return infos
}

func open(t *testing.T, dir string) *pack.Store {
	t.Helper()
	s, err := pack.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestBuildAndAsk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "with a space?", "advisories")
	two := record("GO-1", "Go", "example.com/a")
	two.Affected = append(two.Affected, record("", "Go", "example.com/b").Affected...)
	two.Affected = append(two.Affected, record("", "Homebrew", "a").Affected...)
	build(t, dir, two, record("GO-2", "Go", "example.com/a"), record("PYSEC-1", "PyPI", "Zope_Interface"))
	s := open(t, dir)

	got, err := s.Affecting(t.Context(), "Go", "example.com/a")
	if err != nil {
		t.Fatal(err)
	}
	want := []*advisory.Record{record("GO-1", "Go", "example.com/a"), record("GO-2", "Go", "example.com/a")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if got, err := s.Affecting(t.Context(), "PyPI", "zope.interface"); err != nil || len(got) != 1 {
		t.Errorf("a name in another spelling: %v, %v", got, err)
	}
	if got, err := s.Affecting(t.Context(), "Go", "example.com/c"); err != nil || len(got) != 0 {
		t.Errorf("an unknown package: %v, %v", got, err)
	}
	if _, err := s.Affecting(t.Context(), "npm", "a"); !fault.Is(err, fault.NotFound) || !strings.Contains(fault.HintOf(err), "advisories build") {
		t.Errorf("an ecosystem without a pack: %v, hint %q", err, fault.HintOf(err))
	}
	if asOf, err := s.AsOf("Go"); err != nil || !asOf.Equal(source.AsOf) {
		t.Errorf("AsOf = %v, %v", asOf, err)
	}
	var names []string
	for _, p := range s.Packs() {
		names = append(names, fmt.Sprintf("%s %d %d", p.Ecosystem, p.Records, p.Packages))
	}
	if diff := cmp.Diff([]string{"Go 2 2", "PyPI 1 1"}, names); diff != "" {
		t.Errorf("packs (-want +got):\n%s", diff)
	}
}

func TestAddLeavesOut(t *testing.T) {
	withdrawn := record("GO-1", "Go", "m")
	withdrawn.Withdrawn = day("2026-01-01")
	b := new(pack.Builder)
	for _, r := range []*advisory.Record{withdrawn, record("HB-1", "Homebrew", "m"), {ID: "GO-2"}} {
		if added, err := b.Add(source, r); added || err != nil {
			t.Errorf("%s was added: %v, %v", r.ID, added, err)
		}
	}
	if got := b.Ecosystems(); len(got) != 0 {
		t.Errorf("packs of %v", got)
	}
}

func TestAddRefusesTwoOfOneName(t *testing.T) {
	b := builder(t, record("GO-1", "Go", "m"), record("GO-1", "Go", "m"))
	other := record("GO-1", "Go", "m")
	other.Affected[0].Ranges[0].Events[1].Fixed = "9.9.9"
	if _, err := b.Add(source, other); !fault.Is(err, fault.Invalid) {
		t.Errorf("two records of one name that differ: %v", err)
	}
}

// TestEqualInputGivesEqualBytes: in any order, at any time, in any folder.
func TestEqualInputGivesEqualBytes(t *testing.T) {
	var records []*advisory.Record
	for i := range 300 {
		records = append(records, record(fmt.Sprintf("GO-%d", i), "Go", fmt.Sprintf("example.com/%d", i%70)))
	}
	first := build(t, t.TempDir(), records...)
	for i, j := 0, len(records)-1; i < j; i, j = i+1, j-1 {
		records[i], records[j] = records[j], records[i]
	}
	second := build(t, t.TempDir(), records...)
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("packs differ:\n%s", diff)
	}
}

func TestRebuild(t *testing.T) {
	dir := t.TempDir()
	build(t, dir, record("GO-1", "Go", "m"), record("N-1", "npm", "m"))
	old := open(t, dir) // has read the index, has opened nothing
	build(t, dir, record("GO-2", "Go", "m"))
	now := open(t, dir)
	for _, tt := range []struct {
		store *pack.Store
		e     advisory.Ecosystem
		want  string
	}{{old, "Go", "GO-1"}, {now, "Go", "GO-2"}, {now, "npm", "N-1"}} {
		got, err := tt.store.Affecting(t.Context(), tt.e, "m")
		if err != nil || len(got) != 1 || got[0].ID != tt.want {
			t.Errorf("%s: %v, %v; want %s", tt.e, got, err, tt.want)
		}
	}
	build(t, dir, record("GO-3", "Go", "m"))
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 5 { // index, lock, npm, Go now and before
		t.Errorf("files %q, %v", files, err)
	}
}

func TestInterruptedBuildChangesNothing(t *testing.T) {
	dir := t.TempDir()
	build(t, dir, record("GO-1", "Go", "m"))
	before, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := pack.Build(ctx, dir, builder(t, record("GO-2", "Go", "m"))); err == nil {
		t.Error("a cancelled build succeeded")
	}
	after, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil || string(before) != string(after) {
		t.Errorf("the index changed: %v", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, ".build-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

// TestChangedPackIsRefused: rotted, cut short, swapped for another, and gone.
func TestChangedPackIsRefused(t *testing.T) {
	tests := []struct {
		name   string
		change func(t *testing.T, path string)
		want   fault.Kind
	}{
		{"one bit", func(t *testing.T, path string) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			b[len(b)/2] ^= 1
			rewrite(t, path, b)
		}, fault.Untrusted},
		{"cut short", func(t *testing.T, path string) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			rewrite(t, path, b[:len(b)-4096])
		}, fault.Untrusted},
		{"swapped", func(t *testing.T, path string) {
			dir := t.TempDir()
			info := build(t, dir, record("GO-9", "Go", "other"))[0]
			b, err := os.ReadFile(filepath.Join(dir, info.Digest.Encoded()+".db"))
			if err != nil {
				t.Fatal(err)
			}
			rewrite(t, path, b)
		}, fault.Untrusted},
		{"gone", func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}, fault.Unavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			info := build(t, dir, record("GO-1", "Go", "m"))[0]
			tt.change(t, filepath.Join(dir, info.Digest.Encoded()+".db"))
			if got, err := open(t, dir).Affecting(t.Context(), "Go", "m"); !fault.Is(err, tt.want) {
				t.Errorf("answered %v, %v; want %v", got, err, tt.want)
			}
		})
	}
}

func rewrite(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func FuzzIndex(f *testing.F) {
	f.Add([]byte(`{"form":1,"packs":[]}`))
	f.Add([]byte(`{"form":1,"packs":[{"ecosystem":"Go","digest":"sha256:../../../etc/passwd","asOf":"2026-08-21T00:00:00Z"}]}`))
	f.Add([]byte(`{"form":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "index.json"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := pack.Open(dir)
		if err != nil {
			return
		}
		defer s.Close()
		for _, p := range s.Packs() {
			if strings.ContainsAny(p.Digest.Encoded(), "./") {
				t.Errorf("digest %q was taken", p.Digest)
			}
		}
	})
}

func ExampleBuild() {
	dir, err := os.MkdirTemp("", "packs")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	b := new(pack.Builder)
	if _, err := b.Add(source, record("GO-2099-0001", "Go", "example.com/m")); err != nil {
		panic(err)
	}
	infos, err := pack.Build(context.Background(), dir, b)
	if err != nil {
		panic(err)
	}
	fmt.Println(infos[0].Ecosystem, infos[0].Records, infos[0].AsOf.Format(time.DateOnly))
	// Output: Go 1 2026-08-21
}
