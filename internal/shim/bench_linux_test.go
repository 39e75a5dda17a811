package shim_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// BenchmarkCalls measures our part of each call: with a runtime behind that ends
// at once, all that is left is what comes before and after it.
func BenchmarkCalls(b *testing.B) {
	h := newHost(b)
	merged, _ := h.overlay("b", 16, "")
	ended := filepath.Join(h.dir, "ended")
	h.must(exec.CommandContext(b.Context(), "cp", "/usr/bin/true", ended).Run())
	for name, args := range map[string][]string{"start": {"start"}, "state": {"state"}, "kill": {"kill"}, "delete": {"delete", "--force"}} {
		c := h.container(merged, "sleep 1000")
		c.start()
		b.Run(name, func(b *testing.B) {
			h.configure(map[string]any{"guard": filepath.Join(h.dir, "guard"), "state": h.state, "runtimes": map[string]string{"runc": ended}})
			id := c.id
			if name != "delete" {
				id = "none" // whose runtime would be runc itself
			}
			median(b, func() { _ = exec.Command(h.bin, append(slices.Concat([]string{"--root", h.root}, args), id)...).Run() })
		})
		h.configure(map[string]any{"guard": filepath.Join(h.dir, "guard"), "state": h.state, "runtimes": map[string]string{"runc": runc}})
		_, _ = h.call("delete", "--force", c.id)
	}
	b.Run("nothing", func(b *testing.B) { median(b, func() { _ = exec.Command(ended).Run() }) })
}

// median reports the median of what f takes.
func median(b *testing.B, f func()) {
	b.Helper()
	var all []time.Duration
	for b.Loop() {
		began := time.Now()
		f()
		all = append(all, time.Since(began))
	}
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "ms/median")
}

// BenchmarkRun compares a container's whole life with and without us.
func BenchmarkRun(b *testing.B) {
	h := newHost(b)
	merged, _ := h.overlay("b", 16, "")
	for _, name := range []string{"sealed", "runc"} {
		program := h.bin
		if name == "runc" {
			program = runc
		}
		b.Run(name, func(b *testing.B) {
			c := h.container(merged, "true")
			c.write()
			median(b, func() {
				cmd := exec.Command(program, "--root", h.root, "run", "--bundle", c.dir, c.id)
				cmd.Stderr = os.Stderr
				if err := cmd.Run(); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}
