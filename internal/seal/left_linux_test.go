package seal_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
	"plimsoll/internal/seal"
)

// TestFolderOfStateOfOthers holds a folder of state in which somebody else could
// put layers and dead containers in place.
func TestFolderOfStateOfOthers(t *testing.T) {
	h := newHost(t)
	parent := filepath.Join(h.data, "parent")
	data := filepath.Join(parent, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		path  string
		mode  os.FileMode
		owner int
		ok    bool
	}{
		{"root's", data, 0o700, 0, true},
		{"others may read", data, 0o755, 0, true},
		{"another's", data, 0o700, 1000, false},
		{"others may write", data, 0o777, 0, false},
		{"others may make files", data, os.ModeSticky | 0o777, 0, false},
		{"in another's", parent, 0o755, 1000, false},
		{"in one that others may write", parent, 0o777, 0, false},
		{"in one like /tmp", parent, os.ModeSticky | 0o777, 0, true},
	}
	for _, tt := range tests {
		for _, dir := range []string{data, parent} {
			if err := errors.Join(os.Chown(dir, 0, 0), os.Chmod(dir, 0o700)); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(os.Chown(tt.path, tt.owner, 0), os.Chmod(tt.path, tt.mode)); err != nil {
			t.Fatal(err)
		}
		if _, err := seal.NewRunner(seal.Config{Data: data, IDs: h.ids}); (err == nil) != tt.ok || err != nil && !fault.Is(err, fault.Denied) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// TestDamagedRemainsStopNobody runs a container beside one whose state cannot be
// read: nobody knows which processes it has, so it is kept, and told of.
func TestDamagedRemainsStopNobody(t *testing.T) {
	h := newHost(t)
	home := filepath.Join(h.data, "containers", "damaged")
	err := errors.Join(os.MkdirAll(home, 0o700), os.WriteFile(filepath.Join(home, "state.json"), []byte("{"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	r, err := seal.NewRunner(seal.Config{
		Data: h.data, IDs: h.ids, Stage: []string{stageName}, Warn: func(err error) { told = append(told, err.Error()) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if code, err := r.Run(t.Context(), request("exit", "3"), []string{h.layer}, seal.Streams{}, nil); code != 3 || err != nil {
		t.Errorf("exit %d, %v", code, err)
	}
	if _, err := os.Stat(home); err != nil {
		t.Errorf("what nobody understood is gone: %v", err)
	}
	if len(told) != 1 || !strings.Contains(told[0], `dead container "damaged"`) {
		t.Errorf("told: %q", told)
	}
}

// TestManyAtOnce starts and ends containers beside each other: one that looks
// for dead ones must not trip over those that are just being put away.
func TestManyAtOnce(t *testing.T) {
	h := newHost(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 4 {
				if r, err := h.run(t, request("exit", "5")); r.code != 5 || err != nil {
					t.Errorf("exit %d, %v", r.code, err)
				}
			}
		})
	}
	all.Wait()
	h.clean(t)
}

// TestFullDisk has a container fill the disk that holds the folder of state: its
// end must make room before it writes anything.
func TestFullDisk(t *testing.T) {
	h := newHost(t)
	if !tmpfsMapsIDs(t) {
		t.Skip("needs Linux 6.3, from which on a tmpfs can map IDs")
	}
	if err := unix.Mount("full", h.data, "tmpfs", 0, "size=4m,mode=0700"); err != nil {
		t.Fatal(err)
	}
	unmount := sync.OnceFunc(func() {
		if err := unix.Unmount(h.data, 0); err != nil {
			t.Errorf("something still uses the folder of state: %v", err)
		}
	})
	t.Cleanup(unmount)
	for range 2 {
		r, err := h.run(t, request("fill", "16"))
		if err != nil {
			t.Fatalf("%v\n%s", err, r.out)
		}
		expect(t, r.out, "fill: stopped (write /fill: no space left on device)")
	}
	left, err := os.ReadFile(filepath.Join(h.data, "ids.json"))
	if err != nil || !strings.Contains(string(left), `"containers": {}`) {
		t.Errorf("IDs left: %s, %v", left, err)
	}
}

// tmpfsMapsIDs reports whether the kernel is 6.3 or later.
func tmpfsMapsIDs(t *testing.T) bool {
	t.Helper()
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	var major, minor int
	if _, err := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &major, &minor); err != nil {
		t.Fatal(err)
	}
	return major > 6 || major == 6 && minor >= 3
}
