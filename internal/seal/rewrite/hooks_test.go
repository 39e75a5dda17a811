package rewrite_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/runtime-spec/specs-go"

	"plimsoll/internal/seal/rewrite"
)

// TestSetKey has our own command take the place of Docker's hook: the hook follows
// it, and is still to be checked.
func TestSetKey(t *testing.T) {
	s := situation()
	s.SetKey = []string{"/usr/bin/plimsoll-runtime", "network-hook"}
	plan, err := rewrite.Create(captured(t, "plain.config"), grant(), s)
	if err != nil {
		t.Fatal(err)
	}
	type spec struct {
		Hooks struct{ Prestart []specs.Hook }
	}
	var before, after spec
	if err := json.Unmarshal(captured(t, "plain.config"), &before); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(plan.Config, &after); err != nil {
		t.Fatal(err)
	}
	was := before.Hooks.Prestart[0]
	want := []specs.Hook{{Path: s.SetKey[0], Args: append(append(s.SetKey, was.Path), was.Args...)}}
	if diff := cmp.Diff(want, after.Hooks.Prestart); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{was.Path}, plan.Hooks); diff != "" {
		t.Errorf("to be checked (-want +got):\n%s", diff)
	}
}
