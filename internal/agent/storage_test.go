package agent_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"plimsoll/internal/agent"
	"plimsoll/internal/fault"
	"plimsoll/internal/seal/protocol"
)

const mib = 1 << 20

// numbers is what file systems say of the numbers of projects.
type numbers struct {
	mu   sync.Mutex
	used map[uint32]bool
}

func (n *numbers) unused(_ string, project uint32) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.used[project] {
		return fault.Errorf(fault.Conflict, "project %d has files", project)
	}
	return nil
}

func (n *numbers) set(project uint32, used bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.used[project] = used
}

// storing returns a world whose team has 250 MiB, and whose containers have 100 MiB
// each.
func storing(t *testing.T) (*world, *served, *numbers) {
	t.Helper()
	n := &numbers{used: map[uint32]bool{}}
	w := newWorld(t)
	w.rule(strings.Replace(document, "storage: 4GiB}", "storage: 250MiB}", 1))
	w.config.Unused = n.unused
	w.Agent = agent.New(w.config)
	return w, w.registry.add(t, app, "layer"), n
}

// stores starts container i, whose layer is in the engine's folder.
func (w *world) stores(i int) (*protocol.Grant, error) {
	return w.Grant(w.t.Context(), &protocol.Question{
		Version: protocol.Version, Verb: protocol.Create, ID: id(i), State: state, Cgroup: "/docker/" + id(i),
		Upper: filepath.Join(w.docker, "overlay2", id(i), "diff"),
	})
}

func (w *world) mustStore(i int, volumes int64) *protocol.Grant {
	w.t.Helper()
	g, err := w.stores(i)
	if err != nil || g.Volumes != volumes {
		w.t.Fatalf("container %d: %+v, %v; want %d bytes for volumes", i, g, err, volumes)
	}
	return g
}

func TestATeamsStorageIsDividedUp(t *testing.T) {
	w, s, n := storing(t)
	for i := range 4 {
		w.make(i, s)
	}
	one := w.mustStore(1, 150*mib)
	if again := w.mustStore(1, 150*mib); again.Project != one.Project || again.Turn <= one.Turn {
		t.Errorf("started again: %+v after %+v", again, one)
	}
	two := w.mustStore(2, 50*mib)
	if two.Turn <= one.Turn || two.Project == one.Project || two.TeamProject != one.TeamProject {
		t.Errorf("%+v after %+v", two, one)
	}
	if g, err := w.stores(3); !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "total.storage") {
		t.Errorf("a third of 100 MiB in 250: %+v, %v", g, err)
	}
	w.open()
	w.mustStore(2, 50*mib) // a guard that starts again knows

	// What a container wrote counts until the last of its files is gone, and
	// nobody gets its number before.
	n.set(one.Project, true)
	must(t, w.Removed(id(1)))
	if g, err := w.stores(3); !fault.Is(err, fault.Denied) {
		t.Errorf("beside files that are left: %+v, %v", g, err)
	}
	w.open()
	if g, err := w.stores(3); !fault.Is(err, fault.Denied) {
		t.Errorf("beside files that are left, by another guard: %+v, %v", g, err)
	}
	n.set(one.Project, false)
	must(t, w.Sweep(t.Context(), agent.Alive{}))
	if three := w.mustStore(3, 50*mib); three.Project != one.Project {
		t.Errorf("the number %d is not used again: %d", one.Project, three.Project)
	}
}

func TestNumbersWhoseFilesAreLeftAreNobodys(t *testing.T) {
	w, s, n := storing(t)
	w.make(1, s)
	w.make(2, s)
	one := w.mustStore(1, 150*mib)
	n.set(one.Project, true)
	must(t, w.Removed(id(1)))
	if two := w.mustStore(2, 50*mib); two.Project == one.Project {
		t.Errorf("number %d has files", two.Project)
	}
}

// Steps of builds go without a word; so do containers while no guard runs.
func TestContainersThatTheEngineHasNoMoreTakeNoStorage(t *testing.T) {
	w, s, _ := storing(t)
	for i := range 4 {
		w.make(i, s)
	}
	w.mustStore(1, 150*mib)
	w.mustStore(2, 50*mib)
	must(t, os.RemoveAll(filepath.Dir(w.file(1))))
	w.mustStore(3, 50*mib)
	if _, err := w.Container(id(1)); !fault.Is(err, fault.NotFound) {
		t.Errorf("container 1: %v", err)
	}
}

func TestStorageThatIsUsedUp(t *testing.T) {
	w, s, _ := storing(t)
	w.rule(strings.Replace(document, "storage: 4GiB}", "storage: 200MiB}", 1))
	w.make(1, s)
	w.make(2, s)
	w.mustStore(1, 100*mib)
	if g, err := w.stores(2); err != nil || g.Volumes == 0 || g.Volumes > 4096 {
		t.Errorf("nothing is left for volumes: %+v, %v", g, err)
	}
}
