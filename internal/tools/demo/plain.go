package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// plainBundle makes, as root, a file of root's in the folder shared, and a
// bundle for plain runc from the first layer of harbour:new.
func (s *story) plainBundle(ctx context.Context, shared, content string) error {
	layer, err := s.layer("new", 0)
	if err != nil {
		return err
	}
	script := `set -e; umask 022; mkdir -p "$1" "$2/rootfs"; printf '` + content + `' > "$1/ledger"; tar -xzf "$3" -C "$2/rootfs"`
	return s.mustAsRoot(ctx, "sh", "-c", script, "sh", shared, s.path("plain"), layer)
}

// plainRun runs a shell's command in plain runc, with the shared folder mounted
// read-write on /srv.
func (s *story) plainRun(ctx context.Context, script string) error {
	spec := specs.Spec{
		Version: "1.0.2",
		Process: &specs.Process{Args: []string{"sh", "-c", script}, Env: []string{"PATH=/usr/bin:/bin"}, Cwd: "/"},
		Root:    &specs.Root{Path: "rootfs", Readonly: true},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc"},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "mode=755"}},
			{Destination: "/srv", Type: "bind", Source: s.path("shared"), Options: []string{"bind", "rw"}},
		},
		Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{{Type: specs.PIDNamespace}, {Type: specs.MountNamespace}, {Type: specs.IPCNamespace}, {Type: specs.UTSNamespace}, {Type: specs.NetworkNamespace}}},
	}
	b, err := json.Marshal(spec)
	if err != nil {
		return fmt.Errorf("write runtime spec: %w", err)
	}
	if err := os.WriteFile(s.path("config.json"), b, 0o644); err != nil {
		return fmt.Errorf("write runtime spec: %w", err)
	}
	if err := s.mustAsRoot(ctx, "cp", s.path("config.json"), s.path("plain")); err != nil {
		return err
	}
	args := []string{"--root", "plain/state", "run", "--bundle", "plain", filepath.Base(s.dir)}
	s.stage.command("runc " + words(args) + "    # sh -c " + words([]string{script}))
	line := s.asRoot("runc", args...)
	r, err := s.run(ctx, line[0], line[1:]...)
	if err != nil {
		return err
	}
	s.stage.output(r.text())
	if r.code != 0 {
		return errors.New("plain runc failed")
	}
	return nil
}
