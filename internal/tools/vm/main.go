// Program vm is the virtual-machine lane: Debian 12's own kernel (6.1), under
// qemu without hardware's help, runs the tests that need what this machine's
// kernel may not have: cgroup v2 alone, AppArmor, project quotas of ext4 and
// xfs, nftables as modules, and the classic mount of mapped layers.
//
// Usage: vm CACHE [SUITE...]. Nothing is installed: the kernel and the guest's programs are
// packages that are unpacked in the folder CACHE. The guest runs the same Go
// tests as everybody, compiled here; every test must be seen to pass, a test that
// did not run is a failure.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"time"
)

// patience is how long the machine may run.
const patience = 6 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "vm:", err)
		os.Exit(1)
	}
}

func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "vm: "+format+"\n", args...)
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("usage: vm CACHE [SUITE...]")
	}
	if err := programs(); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "vm")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	began := time.Now()
	b := &builder{cache: args[0], work: work, only: args[1:]}
	m, err := b.build(ctx)
	if err != nil {
		return err
	}
	say("built in %s, the machine starts", time.Since(began).Round(time.Second))
	began = time.Now()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	out, err := m.run(ctx)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	summary, err := judge(out, b.expected)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	say("%s, in %s", summary, time.Since(began).Round(time.Second))
	return nil
}

// programs says what is missing.
func programs() error {
	for name, pkg := range map[string]string{"qemu-system-x86_64": "qemu-system-x86", "mke2fs": "e2fsprogs", "mkfs.xfs": "xfsprogs"} {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("this needs %s: apt-get install %s", name, pkg)
		}
	}
	return nil
}
