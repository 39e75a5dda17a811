//go:build linux

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAttacks tries every attack in every set-up, and compares with what is
// expected and with the page that people read.
func TestAttacks(t *testing.T) {
	l := laboratory(t)
	var setups []*setup
	for _, name := range []string{plain, remap, sealed, guarded} {
		setups = append(setups, open(t, l, name))
	}
	rows := battle(t.Context(), attacks, setups, t.Logf)
	for _, a := range attacks {
		for name, o := range rows[a.id] {
			switch {
			case o == absent && os.Getenv("CI") == "true":
				t.Errorf("%s on %s: the machine has not what it takes", a.id, name)
			case o == absent:
			case o.How == "not prepared" || o.How == "no answer" || o.How == "not run" && name == plain:
				t.Errorf("%s on %s: %s was not tried: %s", a.id, name, a.title, o.Why)
			case o.Succeeded != a.wants(name):
				t.Errorf("%s on %s: %s: %s (%s)", a.id, name, a.title, o.cell(), o.Why)
			}
		}
	}
	path := filepath.Join(source, tablePath)
	got := page(attacks, rows)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is not what was observed (-page +observed), -update writes it:\n%s", tablePath, diff)
	}
}

func TestAttacksAreToldApart(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range attacks {
		if seen[a.id] || a.title == "" || a.try == nil {
			t.Errorf("row %q", a.id)
		}
		seen[a.id] = true
	}
}

func TestJudge(t *testing.T) {
	tests := []struct {
		name, out string
		code      int
		want      outcome
	}{
		{"success", `{"succeeded":true}`, 0, success},
		{"error", `{"succeeded":false,"errno":"EPERM","detail":"no"}`, 0, outcome{How: "EPERM", Why: "no"}},
		{"one of two", "{\"succeeded\":false}\n{\"succeeded\":true}\n", 0, success},
		{"killed", "", 137, outcome{How: "killed"}},
		{"nothing started", "", 125, outcome{How: "refused"}},
		{"silent", "", 0, outcome{How: "no answer"}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, judge(result(tt.out, tt.code))); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}
