package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// machine is what qemu is given.
type machine struct {
	kernel, initrd string
	disks          []string
	work           string
}

// run starts the machine, which turns itself off, and returns what its suites
// wrote. If that is nothing, what the kernel said is returned with an error.
func (m machine) run(ctx context.Context) ([]byte, error) {
	console, results := filepath.Join(m.work, "console"), filepath.Join(m.work, "results")
	args := []string{
		"-accel", "tcg", "-smp", "2", "-m", "1536", "-cpu", "max", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-kernel", m.kernel, "-initrd", m.initrd, "-append", "console=ttyS0 panic=-1 quiet mitigations=off random.trust_cpu=on",
		"-serial", "file:" + console, "-serial", "file:" + results,
	}
	for _, d := range m.disks {
		args = append(args, "-drive", "file="+d+",format=raw,if=virtio,cache=unsafe")
	}
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", args...)
	said, err := cmd.CombinedOutput()
	out, _ := os.ReadFile(results)
	if err != nil || len(out) == 0 {
		return out, fmt.Errorf("the machine: %w: %s\n%s", errors.Join(err, ctx.Err()), said, m.console())
	}
	return out, nil
}

// console returns the end of what the kernel and systemd said.
func (m machine) console() []byte {
	said, _ := tail(filepath.Join(m.work, "console"))
	return said
}

// tail returns the end of a file.
func tail(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if _, err := f.Seek(-4096, io.SeekEnd); err != nil {
		_, err = f.Seek(0, io.SeekStart)
		if err != nil {
			return nil, err
		}
	}
	return io.ReadAll(f)
}
