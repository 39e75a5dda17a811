//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"

	"plimsoll/internal/idmap"
	"plimsoll/internal/profile"
	"plimsoll/internal/seal/protocol"
	"plimsoll/internal/tools/engines"
)

// granted is what every container of the comparison gets.
var granted = profile.Profile{
	CPUs: 1, Memory: 256 << 20, PIDs: 256, Runtime: "runc", Network: profile.Network{Mode: "bridge"}, SetuidFiles: true,
	Capabilities: []string{"CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"},
}

// runtimeFor puts the runtime where the host finds it, built as it is delivered,
// with a guard that has already decided: what is measured is the runtime alone.
func runtimeFor(ctx context.Context, host *engines.Host, program string) error {
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "./cmd/plimsoll-runtime") // #nosec G204 -- of this file
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build runtime: %w\n%s", err, out)
	}
	if err := os.Mkdir(host.Path("/run/plimsoll"), 0o711); err != nil { // entered by every container's first process
		return err
	}
	runc, err := exec.LookPath("runc")
	if err != nil {
		return err
	}
	socket := filepath.Join(host.Dir, "guard")
	settings, err := json.Marshal(map[string]any{
		"guard": socket, "state": "/run/plimsoll/containers", "deadline": "10s", "runtimes": map[string]string{"runc": runc},
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(program+".json", settings, 0o600); err != nil {
		return err
	}
	return serveGrants(ctx, socket, filepath.Join(host.Dir, "docker"))
}

// serveGrants answers until ctx ends.
func serveGrants(ctx context.Context, socket, data string) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", socket)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { _ = l.Close() })
	var made atomic.Int64
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				var q protocol.Question
				if protocol.Read(c, &q) != nil {
					return // the runtime says what went wrong
				}
				a := protocol.Answer{Version: protocol.Version}
				if q.Verb != protocol.Deleted {
					slots := idmap.Default.Slots()
					a.Grant = &protocol.Grant{
						Team: "bench", Decision: "bench", Profile: granted, Own: []string{filepath.Join(data, "containers", q.ID)},
						IDs: idmap.Default.Slot(int(made.Add(1)) % (slots - 1)), Disk: idmap.Default.Slot(slots - 1),
					}
				}
				_ = protocol.Write(c, a)
			}()
		}
	}()
	return nil
}
