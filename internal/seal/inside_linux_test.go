package seal

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/sys/mountinfo"

	"plimsoll/internal/fault"
	"plimsoll/internal/profile"
)

func TestSettingsOfBothVersions(t *testing.T) {
	total := profile.Share{CPUs: 1.5, Memory: 1 << 30, PIDs: 100}
	text := func(c *Cgroups, s profile.Share) (lines []string) {
		for _, x := range c.settings(s) {
			lines = append(lines, x.file+"="+x.value)
		}
		return lines
	}
	v2, v1 := &Cgroups{unified: "/c"}, &Cgroups{v1: map[string]string{}}
	tests := []struct {
		c     *Cgroups
		total profile.Share
		want  string
	}{
		{v2, total, "cpu.max=150000 100000 memory.max=1073741824 memory.swap.max=0 pids.max=100"},
		{v2, profile.Share{}, "cpu.max=max 100000 memory.max=max memory.swap.max=max pids.max=max"},
		{v1, total, "cpu.cfs_period_us=100000 cpu.cfs_quota_us=150000 memory.memsw.limit_in_bytes=-1 memory.limit_in_bytes=1073741824 memory.memsw.limit_in_bytes=1073741824 pids.max=100"},
		{v1, profile.Share{}, "cpu.cfs_period_us=100000 cpu.cfs_quota_us=-1 memory.memsw.limit_in_bytes=-1 memory.limit_in_bytes=-1 memory.memsw.limit_in_bytes=-1 pids.max=max"},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, strings.Join(text(tt.c, tt.total), " ")); diff != "" {
			t.Errorf("settings (-want +got):\n%s", diff)
		}
	}
}

func TestCgroupsOfMounts(t *testing.T) {
	v1 := func(name string) *mountinfo.Info {
		return &mountinfo.Info{FSType: "cgroup", Mountpoint: "/c/" + name, VFSOptions: "rw," + name}
	}
	v2 := &mountinfo.Info{FSType: "cgroup2", Mountpoint: "/c/unified", VFSOptions: "rw"}
	hybrid, err := newCgroups([]*mountinfo.Info{v1("cpu,cpuacct"), v1("memory"), v1("pids"), v2})
	if err != nil || hybrid.tree("cpu") != "/c/cpu,cpuacct" || hybrid.unified != "" || len(hybrid.trees) != 4 {
		t.Errorf("hybrid: %+v, %v", hybrid, err)
	}
	pure, err := newCgroups([]*mountinfo.Info{v2})
	if err != nil || pure.tree("cpu") != "/c/unified" {
		t.Errorf("version 2: %+v, %v", pure, err)
	}
	other := &mountinfo.Info{FSType: "cgroup2", Mountpoint: "/srv/container/cgroup", VFSOptions: "rw"}
	named, err := newCgroups([]*mountinfo.Info{v2, v1("name=systemd"), other})
	if err != nil || named.tree("cpu") != "/c/unified" || len(named.trees) != 3 {
		t.Errorf("version 2 beside a version 1 tree without controllers: %+v, %v", named, err)
	}
	for name, mounts := range map[string][]*mountinfo.Info{"none": nil, "no pids": {v1("cpu"), v1("memory"), v2}} {
		if c, err := newCgroups(mounts); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
}

// TestPrepareOnVersion2 runs against a folder that looks like a version 2 tree:
// the files of groups exist, as the kernel would make them.
func TestPrepareOnVersion2(t *testing.T) {
	root := t.TempDir()
	team := filepath.Join(root, "plimsoll", "payments")
	for dir, files := range map[string][]string{
		root: {"cgroup.subtree_control"}, filepath.Dir(team): {"cgroup.subtree_control", "memory.swap.max"},
		team: {"cgroup.subtree_control", "cpu.max", "memory.max", "memory.swap.max", "pids.max"},
	} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if err := os.WriteFile(filepath.Join(dir, f), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	c := &Cgroups{unified: root, trees: []string{root}}
	if !c.SwapAccounted() {
		t.Error("swap is not seen to be accounted for")
	}
	if err := c.Prepare("payments", "c1", profile.Share{CPUs: 2, PIDs: 9}, false); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"cpu.max": "200000 100000", "pids.max": "9", "memory.max": "max"} {
		if b, err := os.ReadFile(filepath.Join(team, file)); err != nil || string(b) != want {
			t.Errorf("%s is %q, %v; want %q", file, b, err, want)
		}
	}
	if err := c.Prepare("payments", "c1", profile.Share{}, true); !fault.Is(err, fault.Denied) {
		t.Errorf("io.weight without a controller: %v", err)
	}
	if err := c.Remove("other", "c1"); err != nil {
		t.Errorf("remove what is not there: %v", err)
	}
}

func TestParseVersion(t *testing.T) {
	tests := []struct {
		out      string
		mappings bool
		ok       bool
	}{
		{"runc version 1.1.5+ds1\ncommit: x\nlibseccomp: 2.5.4\n", true, true},
		{"runc version 1.2.0\nlibseccomp: 2.5.4\n", false, true},
		{"runc version 1.5.0-rc.1\nlibseccomp: 2.6.0\n", false, true},
		{"crun version 1.8.1\n+SYSTEMD +SECCOMP +CAP\n", true, true},
		{"runc version 1.1.5\n", false, false},
		{"youki version 0.3\nlibseccomp: 2.5.4\n", false, false},
		{"", false, false},
	}
	for _, tt := range tests {
		b, err := parseVersion("/x", tt.out)
		if (err == nil) != tt.ok || b.Mappings != tt.mappings {
			t.Errorf("%q: %+v, %v", tt.out, b, err)
		}
	}
}

func TestKernelAble(t *testing.T) {
	for release, want := range map[string]bool{
		"5.19.0-1-amd64": true, "6.1.0-18-amd64": true, "6.18.44": true, "10.0": true, "5.18.19": false, "4.19-rc1": false, "6.12-cloud1": true, "x": false, "": false,
	} {
		if err := kernelAble(release); (err == nil) != want {
			t.Errorf("%q: %v", release, err)
		}
	}
}

func TestClassify(t *testing.T) {
	tests := map[string]error{
		`unable to start container process: exec: "x": executable file not found in $PATH`:  ErrNoCommand,
		`unable to start container process: exec: "/x": stat /x: no such file or directory`: ErrNoCommand,
		"executable file `x` not found in $PATH: No such file or directory":                 ErrNoCommand,
		`unable to start container process: exec: "/etc": permission denied`:                ErrNotExecutable,
		`exec /x: exec format error`: ErrNotExecutable,
		`error mounting "proc" to rootfs at "/proc": no such file or directory`:              nil,
		`unable to apply cgroup configuration: mkdir /sys/fs/cgroup/pids: permission denied`: nil,
	}
	for text, want := range tests {
		err := classify(text)
		if want == nil && (errors.Is(err, ErrNoCommand) || errors.Is(err, ErrNotExecutable)) || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
