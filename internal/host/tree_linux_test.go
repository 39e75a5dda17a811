package host

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// lack skips a test that this machine cannot run; under CI it fails.
func lack(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("needs %s", what)
	}
	t.Skipf("needs %s", what)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// What Debian's docker.io and Docker's docker-ce install, in short.
const (
	debianService = `[Unit]
Description=Docker Application Container Engine
After=network-online.target docker.socket firewalld.service containerd.service
Requires=docker.socket

[Service]
Type=notify
# the default is not to use systemd for cgroups
EnvironmentFile=-/etc/default/docker
ExecStart=/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock $DOCKER_OPTS
ExecReload=/bin/kill -s HUP $MAINPID
`
	dockerSocket = `[Socket]
# If /var/run is not implemented as a symlink to /run
ListenStream=/run/docker.sock
SocketMode=0660
SocketUser=root
SocketGroup=docker
`
)

// newTree makes a host of files: name → content; a name that ends in "/" is a
// folder, "mode:" before content gives the mode.
func newTree(t *testing.T, files map[string]string) Host {
	t.Helper()
	if os.Geteuid() != 0 {
		lack(t, "root")
	}
	root, err := os.MkdirTemp("", "pz") //nolint:usetesting // whose names are too long for sockets
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	must(t, os.Chmod(root, 0o755))
	h := Host{Root: root, Kernel: "6.1.0-44-cloud-amd64", Command: func(context.Context, string, ...string) error { return nil }}
	all := map[string]string{
		"/usr/sbin/dockerd": "", "/usr/sbin/runc": "", "/etc/docker/key.json": "{}", "/src/plimsoll": "program", "/src/plimsoll-runtime": "runtime",
	}
	maps.Copy(all, files)
	for path, content := range all {
		must(t, os.MkdirAll(filepath.Dir(h.at(path)), 0o755))
		if strings.HasSuffix(path, "/") {
			must(t, os.MkdirAll(h.at(path), 0o755))
			continue
		}
		if content == "-" {
			_ = os.Remove(h.at(path))
			continue
		}
		mode := fs.FileMode(0o644)
		if strings.Contains(path, "bin/") || strings.HasPrefix(path, "/src/") {
			mode = 0o755
		}
		must(t, os.WriteFile(h.at(path), []byte(content), mode))
		must(t, os.Chmod(h.at(path), mode))
	}
	if _, ok := files["/src/"]; !ok {
		must(t, os.Chmod(h.at("/src"), 0o777)) // #nosec G302 -- programs there are copied
	}
	return h
}

// withSystemd are the files of a host with systemd.
func withSystemd(more map[string]string) map[string]string {
	all := map[string]string{
		"/lib/systemd/system/docker.service": debianService, "/lib/systemd/system/docker.socket": dockerSocket,
		"/etc/default/docker": "# DOCKER_OPTS=\"--dns 192.0.2.1\"\n", "/etc/systemd/system/multi-user.target.wants/": "", "/etc/tmpfiles.d/": "",
	}
	maps.Copy(all, more)
	return all
}

func request(h Host) Request {
	return Request{Program: h.at("/src/plimsoll"), Runtime: h.at("/src/plimsoll-runtime"), Args: []string{"--policy", "/etc/plimsoll/policy.yaml"}}
}

// picture is everything about a tree: paths, kinds, modes, owners, times of files,
// content.
func picture(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	must(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		text := fmt.Sprintf("%v %d:%d", info.Mode(), st.Uid, st.Gid)
		switch {
		case info.Mode().IsRegular():
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += fmt.Sprintf(" %v %x", info.ModTime(), sha256.Sum256(b))
		case info.Mode().Type() == fs.ModeSymlink:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			text += " " + target
		}
		all[strings.TrimPrefix(path, root)] = text
		return nil
	}))
	return all
}

func install(t *testing.T, h Host) *Plan {
	t.Helper()
	p := h.Plan(request(h))
	if len(p.Obstacles) > 0 {
		t.Fatalf("obstacles: %+v", p.Obstacles)
	}
	must(t, h.Install(t.Context(), p, true))
	return p
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(content), 0o644))
}
