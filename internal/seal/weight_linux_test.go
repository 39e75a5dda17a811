package seal

import (
	"os"
	"path/filepath"
	"testing"
)

// TestDisksThatWeigh looks at a tree like /sys: a disk with a partition, and a
// mapped device on two disks.
func TestDisksThatWeigh(t *testing.T) {
	tests := map[string]struct {
		a, b, cost string // schedulers, and io.cost.qos
		module     bool
		ask        string
		want       bool
	}{
		"bfq":                     {a: "none [bfq]\n", ask: "8:0", want: true},
		"a partition":             {a: "none [bfq]\n", ask: "8:1", want: true},
		"not chosen":              {a: "[none] bfq\n", ask: "8:1"},
		"cost":                    {a: "[none]\n", cost: "8:0 enable=1 ctrl=user\n", ask: "8:1", want: true},
		"cost of another":         {a: "[none]\n", cost: "8:16 enable=1 ctrl=user\n", ask: "8:1"},
		"cost is off":             {a: "[none]\n", cost: "8:0 enable=0 ctrl=user\n", ask: "8:1"},
		"cost beside bfq":         {a: "[none]\n", cost: "8:0 enable=1 ctrl=user\n", module: true, ask: "8:1"},
		"mapped on both":          {a: "[bfq]\n", b: "[bfq]\n", ask: "253:0", want: true},
		"mapped on one that does": {a: "[bfq]\n", b: "[none]\n", ask: "253:0"},
		"no disk":                 {a: "[bfq]\n", ask: "0:44"},
	}
	for name, test := range tests {
		dir := t.TempDir()
		put := func(path, text string) {
			t.Helper()
			path = filepath.Join(dir, path)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		link := func(path, to string) {
			t.Helper()
			path = filepath.Join(dir, path)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(filepath.Join(dir, to), path); err != nil {
				t.Fatal(err)
			}
		}
		put("devices/sda/dev", "8:0\n")
		put("devices/sda/queue/scheduler", test.a)
		put("devices/sda/sda1/partition", "1\n")
		put("devices/sda/sda1/dev", "8:1\n")
		put("devices/sdb/dev", "8:16\n")
		put("devices/sdb/queue/scheduler", test.b)
		put("devices/dm-0/dev", "253:0\n")
		put("devices/dm-0/queue/scheduler", "[none]\n")
		link("devices/dm-0/slaves/sda1", "devices/sda/sda1")
		link("devices/dm-0/slaves/sdb", "devices/sdb")
		link("dev/block/8:0", "devices/sda")
		link("dev/block/8:1", "devices/sda/sda1")
		link("dev/block/8:16", "devices/sdb")
		link("dev/block/253:0", "devices/dm-0")
		put("cost", test.cost)
		if test.module {
			put("module/bfq/refcnt", "1\n")
		}
		if err := (disks{dir, filepath.Join(dir, "cost")}).weigh(test.ask, maxStacked); (err == nil) != test.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
