package agent_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/agent"
	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

func openMemory(t testing.TB, dir string) *agent.Memory {
	t.Helper()
	m, err := agent.OpenMemory(t.Context(), dir)
	must(t, err)
	return m
}

func container(n int) agent.Container {
	return agent.Container{
		ID: id(n), Name: fmt.Sprintf("name-%d", n), Team: "payments", Caller: "alice", Decision: id(n)[:32], Image: app,
		Config: ref.Digest("sha256:" + id(n%50)), Volumes: []string{id(n), "data"}, Made: time.Unix(1, 0),
		Seen: agent.Seen{Decision: id(n)[:32], Policy: ref.Digest("sha256:" + id(1)), GUN: "registry.example.com/app"},
	}
}

func TestMemoryLasts(t *testing.T) {
	dir := t.TempDir()
	m := openMemory(t, dir)
	config := ref.Digest("sha256:" + id(3))
	must(t, m.Created(container(1)))
	must(t, m.Created(container(2)))
	must(t, m.Removed(id(2)))
	must(t, m.Removed(id(2)))
	must(t, m.Claim("volume", "data", "payments"))
	must(t, m.Claim("volume", "data", "payments"))
	must(t, m.Claim("tag", "docker.io/library/busybox:latest", "payments"))
	must(t, m.Disown("tag", "docker.io/library/busybox:latest"))
	must(t, m.Pulled(config, &agent.Name{Repository: "registry.example.com/app", Top: v1.Descriptor{Digest: config}}, "", nil))
	if _, err := agent.OpenMemory(t.Context(), dir); !fault.Is(err, fault.Conflict) {
		t.Errorf("two guards have one memory: %v", err)
	}
	for range 2 {
		if c, err := m.Container(id(1)); err != nil || c.Volumes[1] != "data" || c.Seen.GUN != "registry.example.com/app" {
			t.Errorf("%+v, %v", c, err)
		}
		if _, err := m.Container(id(2)); !fault.Is(err, fault.NotFound) {
			t.Errorf("a removed container: %v", err)
		}
		if team, err := m.Owner("volume", "data"); err != nil || team != "payments" {
			t.Errorf("%q, %v", team, err)
		}
		if _, err := m.Owner("network", "data"); !fault.Is(err, fault.NotFound) {
			t.Errorf("another kind: %v", err)
		}
		if _, err := m.Owner("tag", "docker.io/library/busybox:latest"); !fault.Is(err, fault.NotFound) {
			t.Errorf("disowned: %v", err)
		}
		if err := m.Claim("volume", "data", "other"); !fault.Is(err, fault.Conflict) {
			t.Errorf("claimed by another: %v", err)
		}
		if i, ok := m.Image(config); !ok || len(i.Names) != 1 {
			t.Errorf("image %+v, %v", i, ok)
		}
		must(t, m.Close())
		m = openMemory(t, dir)
	}
	must(t, m.Close())
}

func TestMemoryRefusesWhatItCannotRead(t *testing.T) {
	for name, spoil := range map[string]func(dir string) error{
		"half a record":   func(dir string) error { return os.Truncate(filepath.Join(dir, "containers", id(1)+".json"), 20) },
		"an empty record": func(dir string) error { return os.Truncate(filepath.Join(dir, "containers", id(1)+".json"), 0) },
		"another's record": func(dir string) error {
			return os.Rename(filepath.Join(dir, "containers", id(1)+".json"), filepath.Join(dir, "containers", id(2)+".json"))
		},
		"a record of no thing": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "things", "x.json"), []byte(`{"kind":"volume","name":"data","team":"other"}`), 0o600)
		},
		"a huge record": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "things", "x.json"), make([]byte, 1<<20), 0o600)
		},
	} {
		dir := t.TempDir()
		m := openMemory(t, dir)
		must(t, m.Created(container(1)))
		must(t, m.Close())
		must(t, spoil(dir))
		if m, err := agent.OpenMemory(t.Context(), dir); !fault.Is(err, fault.Invalid) || fault.HintOf(err) == "" {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
	m := openMemory(t, t.TempDir())
	for _, bad := range []string{"", "../x", "a/b", ".", strings.Repeat("a", 300), "a\x00"} {
		if err := m.Created(agent.Container{ID: bad, Team: "t"}); !fault.Is(err, fault.Invalid) {
			t.Errorf("ID %q: %v", bad, err)
		}
	}
	if err := m.Pulled("sha256:../../x", nil, "", nil); err == nil {
		t.Error("an image whose digest is a path was remembered")
	}
	must(t, m.Close())
}

// TestCrash kills a process with SIGKILL while it writes, again and again. Whatever
// it said that it had written must be there, and nothing may be broken.
func TestCrash(t *testing.T) {
	if dir := os.Getenv("PLIMSOLL_TEST_MEMORY"); dir != "" {
		writeForEver(t, dir)
		return
	}
	dir := t.TempDir()
	next := 0
	for round := range 12 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCrash$")
		cmd.Env = append(os.Environ(), "PLIMSOLL_TEST_MEMORY="+dir, "PLIMSOLL_TEST_NEXT="+strconv.Itoa(next))
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		said := map[int]bool{}
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			n, err := strconv.Atoi(strings.TrimPrefix(lines.Text(), "wrote "))
			if err != nil {
				continue
			}
			said[n] = true
			if len(said) == 5+7*round {
				must(t, cmd.Process.Signal(syscall.SIGKILL)) // and read on what it said until then
			}
		}
		_ = cmd.Wait()
		if len(said) < 5+7*round {
			t.Fatalf("it wrote %d records only", len(said))
		}
		m := openMemory(t, dir)
		for n := range said {
			next = max(next, n+1)
			if c, err := m.Container(id(n)); err != nil || c.Team != "payments" {
				t.Errorf("container %d, which was written: %+v, %v", n, c, err)
			}
			if team, err := m.Owner("volume", id(n)); err != nil || team != "payments" {
				t.Errorf("volume %d, which was written: %q, %v", n, team, err)
			}
			if _, err := m.Container(id(n + 1_000_000)); !fault.Is(err, fault.NotFound) {
				t.Errorf("container %d, which was removed: %v", n, err)
			}
		}
		next += 100
		must(t, m.Close())
		left, err := filepath.Glob(filepath.Join(dir, "*", ".new-*"))
		if err != nil || len(left) > 0 {
			t.Errorf("left behind: %q, %v", left, err)
		}
	}
}

func writeForEver(t *testing.T, dir string) {
	m := openMemory(t, dir)
	next, err := strconv.Atoi(os.Getenv("PLIMSOLL_TEST_NEXT"))
	must(t, err)
	for n := next; ; n++ {
		must(t, m.Created(container(n+1_000_000)))
		must(t, m.Created(container(n)))
		must(t, m.Claim("volume", id(n), "payments"))
		must(t, m.Removed(id(n+1_000_000)))
		if _, err := fmt.Printf("wrote %d\n", n); err != nil {
			return
		}
	}
}

func TestMemoryAtOnce(t *testing.T) {
	m := openMemory(t, t.TempDir())
	var all sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for i := range 8 {
		all.Go(func() {
			for n := range 20 {
				if err := m.Created(container(n)); err != nil {
					t.Error(err)
				}
				_, _ = m.Container(id(n))
				_, _ = m.Owner("volume", "data")
			}
			if err := m.Claim("volume", "data", fmt.Sprintf("team-%d", i)); err == nil {
				mu.Lock()
				won++
				mu.Unlock()
			} else if !fault.Is(err, fault.Conflict) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if won != 1 {
		t.Errorf("%d teams own one volume", won)
	}
	must(t, m.Close())
}

// TestAThousandContainers measures what they cost. The bound is the one that was
// promised for the guard.
func TestAThousandContainers(t *testing.T) {
	dir := t.TempDir()
	m := openMemory(t, dir)
	for n := range 1000 {
		must(t, m.Created(container(n)))
		must(t, m.Claim("volume", id(n), "payments"))
	}
	must(t, m.Close())
	heap := func() uint64 {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	before, begin := heap(), time.Now()
	m = openMemory(t, dir)
	took, after := time.Since(begin), heap()
	t.Logf("1,000 containers and volumes: %d KiB, read in %v", (after-before)>>10, took)
	if after-before > 50<<20 {
		t.Errorf("%d bytes", after-before)
	}
	if _, err := m.Container(id(999)); err != nil {
		t.Error(err)
	}
	must(t, m.Close())
}
