package seal

import (
	"strings"
	"testing"
)

// TestCharged finds the groups that count in what the kernel says of a process.
func TestCharged(t *testing.T) {
	v2 := &Cgroups{unified: "/c"}
	v1 := &Cgroups{v1: map[string]string{"memory": "/c/memory", "cpu": "/c/cpu,cpuacct", "cpuacct": "/c/cpu,cpuacct", "pids": "/c/pids", "freezer": "/c/freezer"}}
	tests := []struct {
		c           *Cgroups
		lines, want string
	}{
		{v2, "0::/plimsoll/a/1\n", "/c/plimsoll/a/1/cgroup.procs"},
		{v2, "1:name=systemd:/x\n0::/a:b\n", "/c/a:b/cgroup.procs"},
		{
			v1, "9:name=systemd:/s\n8:pids:/p\n4:memory:/m\n3:freezer:/f\n2:cpu,cpuacct:/x\n0::/u\n",
			"/c/memory/m/cgroup.procs /c/cpu,cpuacct/x/cgroup.procs",
		},
		{v1, "2:cpu,cpuacct:/x\n0::/u\n", "error"},
		{v1, "4:memory:m\n", "error"},
		{v1, "4:memory\n", "error"},
		{v1, "", "error"},
		{v2, "4:memory:/m\n", "error"},
	}
	for _, test := range tests {
		groups, err := test.c.charged(test.lines)
		got := strings.Join(groups, " ")
		if err != nil {
			got = "error"
		}
		if got != test.want {
			t.Errorf("%q: %s, want %s (%v)", test.lines, got, test.want, err)
		}
	}
}
