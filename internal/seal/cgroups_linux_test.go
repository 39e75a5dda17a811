package seal

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"plimsoll/internal/profile"
)

// TestContainersOfATeamComeAndGo: groups are made while the last other container
// of the team ends, in every tree that a runtime will use.
func TestContainersOfATeamComeAndGo(t *testing.T) {
	c, err := FindCgroups()
	if err != nil || os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatalf("not root, or no control groups: %v", err)
		}
		t.Skipf("missing: root, or control groups: %v", err)
	}
	const team = "come-and-go"
	trees := slices.Compact(slices.Sorted(maps.Values(c.v1)))
	var all sync.WaitGroup
	for n := range 4 {
		all.Go(func() {
			for i := range 50 {
				id := fmt.Sprintf("c%d-%d", n, i)
				if err := c.Prepare(team, id, profile.Share{PIDs: 100}, false); err != nil {
					t.Errorf("prepare %s: %v", id, err)
					return
				}
				for _, tree := range trees {
					if _, err := os.Stat(filepath.Join(tree, "plimsoll", team, id)); err != nil {
						t.Errorf("a tree without the group: %v", err)
					}
				}
				if err := c.Remove(team, id); err != nil {
					t.Errorf("remove %s: %v", id, err)
				}
			}
		})
	}
	all.Wait()
}
