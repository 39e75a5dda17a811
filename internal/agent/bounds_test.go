package agent

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
)

// TestVolumesOfOthersAreNotAnonymous has whoever speaks to the engine itself name
// a volume that another team's container has.
func TestVolumesOfOthersAreNotAnonymous(t *testing.T) {
	m, err := OpenMemory(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	err = errors.Join(
		m.Created(Container{ID: "c1", Team: "payments", Volumes: []string{"theirs"}}),
		m.Created(Container{ID: "c2", Team: "search", Volumes: []string{"ours"}}),
		m.Claim(kindVolume, "claimed", "payments"), m.Claim(kindVolume, "kept", "search"),
	)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"new", "ours", "kept"}
	if d := cmp.Diff(want, m.unclaimed("search", []string{"new", "theirs", "ours", "claimed", "kept"})); d != "" {
		t.Error(d)
	}
}

// TestOneTeamDoesNotFillTheMemory has a team make things without end: the others
// can make theirs all the same.
func TestOneTeamDoesNotFillTheMemory(t *testing.T) {
	m, err := OpenMemory(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	m.most = bounds{containers: 16, things: 16, fleeting: 3}
	makers := map[string]func(team string, n int) error{
		"container": func(team string, n int) error {
			return m.Created(Container{ID: fmt.Sprintf("%s%d", team, n), Team: team})
		},
		"thing": func(team string, n int) error { return m.Claim("volume", fmt.Sprintf("%s%d", team, n), team) },
	}
	for what, makeOne := range makers {
		made := 0
		for n := range 10 {
			switch err := makeOne("greedy", n); {
			case err == nil:
				made++
			case !fault.Is(err, fault.Unavailable):
				t.Errorf("%s %d: %v", what, n, err)
			}
		}
		if made != 4 {
			t.Errorf("one team made %d of 16: %s", made, what)
		}
		if err := makeOne("greedy", 0); err != nil {
			t.Errorf("%s that is known: %v", what, err)
		}
		if err := makeOne("modest", 1); err != nil {
			t.Errorf("%s of another team: %v", what, err)
		}
	}
	if err := m.Claim(kindExec, "theirs", "modest"); err != nil {
		t.Fatal(err)
	}
	for n := range 10 {
		if err := m.Claim(kindExec, fmt.Sprint(n), "greedy"); err != nil {
			t.Fatal(err)
		}
	}
	if team, err := m.Owner(kindExec, "theirs"); team != "modest" || err != nil {
		t.Errorf("another team's exec was forgotten: %q, %v", team, err)
	}
	if len(m.fleeting) != 4 {
		t.Errorf("%d execs are remembered, not 3 of the one and 1 of the other", len(m.fleeting))
	}
}
