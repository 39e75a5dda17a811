//go:build unix

package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"plimsoll/internal/fault"
	"plimsoll/internal/idmap"
	"plimsoll/internal/store"
)

// host is a host whose files say what the test wants.
func host(t *testing.T, subids string) store.RangesConfig {
	t.Helper()
	dir := t.TempDir()
	c := store.RangesConfig{
		File:   filepath.Join(dir, "ids.json"),
		SubUID: filepath.Join(dir, "subuid"), SubGID: filepath.Join(dir, "subgid"),
	}
	for _, file := range []string{c.SubUID, c.SubGID} {
		if err := os.WriteFile(file, []byte(subids), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func TestSlotsAreTakenAndGivenBack(t *testing.T) {
	c := host(t, "plimsoll:1048576:262144\n")
	take := func(id string) idmap.Range {
		t.Helper()
		s, err := store.NewRanges(c).Take(t.Context(), id) // a new process each time
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	team := func(name string) idmap.Range {
		t.Helper()
		s, err := store.NewRanges(c).Team(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a, b, pay := take("a"), take("b"), team("payments")
	if a.Base != 1048576 || b.Base != 1048576+65536 || pay.Base != 1048576+3*65536 {
		t.Errorf("slots %s, %s, %s", a, b, pay)
	}
	if again := take("a"); again != a {
		t.Errorf("asked twice, a has %s and %s", a, again)
	}
	if err := store.NewRanges(c).Free(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if err := store.NewRanges(c).Free(t.Context(), "a"); err != nil {
		t.Errorf("freed twice: %v", err)
	}
	if d := take("d"); d != a {
		t.Errorf("the lowest free slot is %s, taken was %s", a, d)
	}
	take("e")
	if s, err := store.NewRanges(c).Take(t.Context(), "f"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a fifth of four slots: %s, %v", s, err)
	}
	if again := team("payments"); again != pay {
		t.Errorf("the team moved from %s to %s", pay, again)
	}
}

func TestNoTwoContainersShareASlot(t *testing.T) {
	c := host(t, "plimsoll:1048576:1048576\n")
	var mu sync.Mutex
	var wait sync.WaitGroup
	holders := map[uint32]string{}
	for i := range 8 {
		wait.Go(func() {
			id := "c" + strconv.Itoa(i)
			s, err := store.NewRanges(c).Take(t.Context(), id)
			mu.Lock()
			defer mu.Unlock()
			if other := holders[s.Base]; err != nil || other != "" {
				t.Errorf("%s got %s, held by %q: %v", id, s, other, err)
			}
			holders[s.Base] = id
		})
	}
	wait.Wait()
}

func TestRangesRefuse(t *testing.T) {
	tests := []struct {
		name, subids, file string
		kind               fault.Kind
	}{
		{"overlap with another's IDs", "bob:1879048192:1\n", "", fault.Invalid},
		{"subuid that cannot be read", "nonsense\n", "", fault.Invalid},
		{"damaged table", "", "{", fault.Invalid},
		{"range changed under held slots", "", `{"range":{"base":1048576,"size":131072},"teams":{"x":1114112}}`, fault.Conflict},
		{"what is no slot", "", `{"range":{"base":1879048192,"size":268304384},"containers":{"x":7}}`, fault.Invalid},
		{"one slot twice", "", `{"range":{"base":1879048192,"size":268304384},"containers":{"x":1879048192},"teams":{"y":1879048192}}`, fault.Invalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := host(t, tt.subids)
			if tt.file != "" {
				if err := os.WriteFile(c.File, []byte(tt.file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if s, err := store.NewRanges(c).Take(t.Context(), "a"); !fault.Is(err, tt.kind) {
				t.Errorf("got %s, %v; want %v", s, err, tt.kind)
			}
		})
	}
	for _, name := range []string{"", "../a", "A", "a b"} {
		if s, err := store.NewRanges(host(t, "")).Team(t.Context(), name); !fault.Is(err, fault.Invalid) {
			t.Errorf("name %q got %s, %v", name, s, err)
		}
	}
}

func ExampleRanges() {
	dir, err := os.MkdirTemp("", "ranges")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	none := filepath.Join(dir, "none")
	ranges := store.NewRanges(store.RangesConfig{File: filepath.Join(dir, "ids.json"), SubUID: none, SubGID: none})
	container, _ := ranges.Take(context.Background(), "3f1c")
	team, _ := ranges.Team(context.Background(), "payments")
	fmt.Println(container, team)
	// Output: 1879048192–1879113727 2147287040–2147352575
}
