package idmap_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
	"plimsoll/internal/idmap"
)

func TestDefaultLiesWhereNobodyElseDoes(t *testing.T) {
	// Ranges of systemd's UIDS-GIDS document, first to last.
	others := map[string][2]uint32{
		"system and people": {0, 65535},
		"nspawn containers": {524288, 1879048191},
		"foreign images":    {2147352576, 2147418111},
		"above 2^31":        {1 << 31, 1<<32 - 2},
	}
	for name, o := range others {
		if r := (idmap.Range{Base: o[0], Size: o[1] - o[0] + 1}); idmap.Default.Overlaps(r) {
			t.Errorf("the default range %s overlaps %s %s", idmap.Default, name, r)
		}
	}
	if got := idmap.Default.Slots(); got != 4094 {
		t.Errorf("%d slots, want 4094", got)
	}
}

func TestContainersFromBelowTeamsFromAbove(t *testing.T) {
	r := idmap.Range{Base: 1 << 20, Size: 3*idmap.SlotSize + 7}
	taken := map[uint32]bool{}
	take := func(f func(map[uint32]bool) (idmap.Range, error)) uint32 {
		t.Helper()
		s, err := f(taken)
		if err != nil {
			t.Fatal(err)
		}
		if s.Size != idmap.SlotSize || r.Index(s.Base) < 0 {
			t.Fatalf("slot %s is none of %s", s, r)
		}
		taken[s.Base] = true
		return s.Base
	}
	got := []uint32{take(r.Lowest), take(r.Highest), take(r.Lowest)}
	want := []uint32{1 << 20, 1<<20 + 2*idmap.SlotSize, 1<<20 + idmap.SlotSize}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("slots (-want +got):\n%s", diff)
	}
	for _, f := range []func(map[uint32]bool) (idmap.Range, error){r.Lowest, r.Highest} {
		if s, err := f(taken); !fault.Is(err, fault.Unavailable) {
			t.Errorf("a full range gave %s, %v", s, err)
		}
	}
	delete(taken, 1<<20)
	if s := take(r.Lowest); s != 1<<20 {
		t.Errorf("a slot given back was not the next to be taken: %d", s)
	}
	for _, base := range []uint32{0, 1<<20 + 1, 1<<20 + 3*idmap.SlotSize} {
		if i := r.Index(base); i != -1 {
			t.Errorf("Index(%d) = %d", base, i)
		}
	}
}

func TestHostRange(t *testing.T) {
	ours := "plimsoll:2000000:131072\n"
	tests := []struct {
		name, uids, gids string
		want             idmap.Range
		kind             fault.Kind
	}{
		{"nobody said anything", "", "alice:100000:65536\n", idmap.Default, 0},
		{"named", "# reserved\n\nalice:100000:65536\n" + ours, ours, idmap.Range{Base: 2000000, Size: 131072}, 0},
		{"neighbours touch", ours + "bob:1934464:65536\neve:2131072:1\n", ours, idmap.Range{Base: 2000000, Size: 131072}, 0},
		{"only one file", ours, "", idmap.Range{}, fault.Invalid},
		{"two lines", ours + "plimsoll:3000000:131072\n", ours, idmap.Range{}, fault.Invalid},
		{"empty", "plimsoll:0:0", "plimsoll:0:0", idmap.Range{}, fault.Invalid},
		{"host's own users", "plimsoll:0:131072", "plimsoll:0:131072", idmap.Range{}, fault.Invalid},
		{"one slot", "plimsoll:2000000:131071", "plimsoll:2000000:131071", idmap.Range{}, fault.Invalid},
		{"above 2^31", "plimsoll:2147400000:131072", "plimsoll:2147400000:131072", idmap.Range{}, fault.Invalid},
		{"overlap in subuid", ours + "bob:2065536:1", ours, idmap.Range{}, fault.Invalid},
		{"overlap in subgid", ours, ours + "bob:1:2000000", idmap.Range{}, fault.Invalid},
		{"overlap of the default", "", "bob:1879048191:2", idmap.Range{}, fault.Invalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := idmap.HostRange(parse(t, tt.uids), parse(t, tt.gids))
			if got != tt.want && tt.kind == 0 || (err != nil) != (tt.kind != 0) || err != nil && !fault.Is(err, tt.kind) {
				t.Errorf("HostRange = %s, %v; want %s, %v", got, err, tt.want, tt.kind)
			}
		})
	}
}

func parse(t *testing.T, s string) []idmap.SubID {
	t.Helper()
	all, err := idmap.ParseSubIDs([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestParseSubIDsRefuses(t *testing.T) {
	for _, bad := range []string{"alice", "alice:1", ":1:2", "alice:-1:2", "alice:1:2:3", "alice:4294967295:2", "alice:1:x"} {
		if got, err := idmap.ParseSubIDs([]byte(bad)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q gave %v, %v", bad, got, err)
		}
	}
	if _, err := idmap.ParseSubIDs(make([]byte, 2<<20)); !fault.Is(err, fault.Invalid) {
		t.Errorf("two MiB: %v", err)
	}
}

func FuzzParseSubIDs(f *testing.F) {
	f.Add([]byte("alice:100000:65536\n# x\nplimsoll:1879048192:268304384\n"))
	f.Add([]byte("0:4294967295:1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := idmap.ParseSubIDs(b)
		if err != nil {
			return
		}
		for _, e := range all {
			if e.Name == "" || uint64(e.Base)+uint64(e.Size) > 1<<32 {
				t.Errorf("%q gave %+v", b, e)
			}
		}
		if r, err := idmap.HostRange(all, all); err == nil && (r.Slots() < 2 || r.Base < idmap.SlotSize || r.Last() >= 1<<31) {
			t.Errorf("%q gave the range %s", b, r)
		}
	})
}

func ExampleHostRange() {
	uids, _ := idmap.ParseSubIDs([]byte("alice:100000:65536\n"))
	r, _ := idmap.HostRange(uids, nil)
	first, _ := r.Lowest(nil)
	team, _ := r.Highest(nil)
	fmt.Println("container:", first)
	fmt.Println("team's files:", team)
	// Output:
	// container: 1879048192–1879113727
	// team's files: 2147287040–2147352575
}
