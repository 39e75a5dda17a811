package seal

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

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

// ThreadsName is the name under which this test is a program of many threads.
const ThreadsName = "seal-threads"

// Threads is that program.
func Threads() {
	var ready sync.WaitGroup
	for range 100 {
		ready.Add(1)
		go func() {
			runtime.LockOSThread()
			ready.Done()
			time.Sleep(time.Hour)
		}()
	}
	ready.Wait()
	memory := make([]byte, 128<<20)
	for i := 0; i < len(memory); i += 4096 {
		memory[i] = 1
	}
	fmt.Println("ready")
	time.Sleep(time.Hour)
}

// TestGroupsOfManyThreads ends a program of many threads whose leader is gone
// before the others are: the kernel no longer names such a process, and its group
// cannot be removed yet.
func TestGroupsOfManyThreads(t *testing.T) {
	c, err := FindCgroups()
	if err != nil || os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatalf("not root, or no control groups: %v", err)
		}
		t.Skipf("missing: root, or control groups: %v", err)
	}
	const team, id = "threads", "many"
	for _, tree := range c.trees {
		t.Run(filepath.Base(tree), func(t *testing.T) {
			for range 2 {
				group := filepath.Join(tree, "plimsoll", team, id)
				if err := os.MkdirAll(group, 0o755); err != nil {
					t.Fatal(err)
				}
				cmd := manyThreads(t)
				err := os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte(strconv.Itoa(cmd.Process.Pid)), 0)
				if err != nil && !errors.Is(err, unix.ENOSPC) { // a group of cpuset that has no processors yet
					t.Error(err)
				}
				if err := errors.Join(c.Kill(t.Context(), team, id), c.Remove(team, id)); err != nil {
					t.Error(err)
				}
				_ = errors.Join(cmd.Process.Kill(), cmd.Wait()) // killed before, but for cpuset
			}
		})
	}
}

// manyThreads starts Threads and waits until all of them run.
func manyThreads(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Args = []string{ThreadsName}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		_, err = out.Read(make([]byte, 1))
	}
	if err != nil {
		t.Fatal(err)
	}
	return cmd
}
