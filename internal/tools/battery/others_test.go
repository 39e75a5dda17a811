//go:build linux

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plimsoll/internal/tools/debian"
	"plimsoll/internal/tools/engines"
)

// TestContainerd runs the same runtime under containerd itself, by ctr.
func TestContainerd(t *testing.T) {
	s := open(t, laboratory(t, "ctr"), sealed)
	b := box{t, s}
	archive := filepath.Join(t.TempDir(), "image.tar")
	b.docker("save", "-o", archive, image)
	ctr := func(args ...string) (string, error) {
		return s.Host.Run(t.Context(), "ctr", append([]string{"-a", engines.ContainerdSocket, "-n", "battery"}, args...)...)
	}
	must := func(args ...string) string {
		t.Helper()
		out, err := ctr(args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	must("images", "import", archive)
	const name = "docker.io/library/" + image + ":latest"
	runc := []string{"--runc-binary", s.Host.Dir + "/plimsoll-runtime", "--runc-root", "/run/battery-runc"}
	run := func(flags []string, id string, args ...string) (string, error) {
		all := append(append([]string{"run"}, runc...), flags...)
		return ctr(append(append(all, name, id), args...)...)
	}
	out, err := run([]string{"--rm"}, "first", "sh", "-c", "id -u; touch /x && stat -c %u /x; grep -c . /proc/self/uid_map; attack identity")
	if err != nil {
		t.Fatal(err)
	}
	b.has("container", out, "0\n0\n1\n", `"detail":"mapped"`)
	if out, err := run([]string{"-d"}, "second", "attack", "hold"); err != nil {
		t.Fatal(out, err)
	}
	b.has("exec", must("tasks", "exec", "--exec-id", "e1", "second", "attack", "identity"), "mapped")
	pid := strings.Fields(must("tasks", "list"))
	b.has("tasks", strings.Join(pid, " "), "second", "RUNNING")
	for _, flags := range [][]string{{"--privileged"}, {"--with-ns", "pid:/proc/1/ns/pid"}, {"--net-host"}, {"--mount", "type=bind,src=/,dst=/h,options=rbind"}} {
		out, err := run(append([]string{"--rm"}, flags...), "bad", "attack", "privileged")
		if err == nil && !strings.Contains(out, `"succeeded":false`) {
			t.Errorf("%v: %s", flags, out)
		}
		if flags[0] != "--privileged" && err == nil {
			t.Errorf("%v: it was started: %s", flags, out)
		}
	}
	must("tasks", "kill", "-s", "KILL", "second")
	b.soon("stopped", func() bool {
		out, err := ctr("tasks", "list")
		return err == nil && strings.Contains(out, "STOPPED")
	})
	must("tasks", "delete", "second")
	must("containers", "delete", "second")
}

// TestPodman runs the same runtime under podman. A copy into a running
// container is known to fail: podman writes as root of the host through the
// container's mount.
func TestPodman(t *testing.T) {
	s := open(t, laboratory(t, "podman", "conmon"), sealed)
	b := box{t, s}
	archive := filepath.Join(t.TempDir(), "image.tar")
	b.docker("save", "-o", archive, image)
	podman := func(args ...string) (string, error) {
		all := []string{"--root", s.Host.Dir + "/podman", "--runroot", podmanRun, "--cgroup-manager", "cgroupfs", "--runtime", s.Host.Dir + "/plimsoll-runtime"}
		return s.Host.Run(t.Context(), "env", append(append([]string{"-u", "DOCKER_CONFIG", "podman"}, all...), args...)...)
	}
	must := func(args ...string) string {
		t.Helper()
		out, err := podman(args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	must("load", "-i", archive)
	b.has("run", must("run", "--rm", "--network", "none", "localhost/"+image, "sh", "-c", "touch /x && stat -c %u /x; attack identity"), "0\n", "mapped")
	id := strings.TrimSpace(must("run", "-d", "--network", "none", "localhost/"+image, "sh", "-c", "echo said; exec attack hold"))
	b.has("exec", must("exec", id, "attack", "identity"), "mapped")
	b.has("logs", must("logs", id), "said")
	if out, err := podman("run", "--rm", "--network", "none", "-v", "/:/h", "localhost/"+image, "true"); err == nil {
		t.Errorf("a mount of / was allowed: %s", out)
	}
	if out, err := podman("run", "--rm", "--network", "none", "--pid", "host", "localhost/"+image, "true"); err == nil {
		t.Errorf("the host's processes were allowed: %s", out)
	}
	must("rm", "-f", "-t", "0", id)
}

// TestCrun runs containers with crun behind the runtime.
func TestCrun(t *testing.T) {
	s := open(t, laboratory(t, "crun"), sealed)
	b := box{t, s}
	flags := b.label(b.teams[0], "crun")
	b.has("run", b.docker(append(append([]string{"run", "--rm"}, flags...), image, "sh", "-c", "touch /x && stat -c %u /x; attack identity")...), "0\n", "mapped")
	id := b.detached(append(flags, image, "attack", "hold")...)
	b.has("exec", b.docker("exec", id, "attack", "identity"), "mapped")
	if bad := harmful(t, s, b.pid(id), s.profiles()["crun"]); len(bad) > 0 {
		t.Errorf("%s", strings.Join(bad, "\n"))
	}
	b.docker("stop", id)
}

// TestPackages installs a package in a Debian container, with everything that
// dpkg does: owners, a setuid program, a script.
func TestPackages(t *testing.T) {
	l := laboratory(t, "apt-get", "dpkg-deb")
	root := debianRoot(t)
	for _, name := range []string{plain, sealed} {
		t.Run(name, func(t *testing.T) {
			s := open(t, l, name)
			b := box{t, s}
			if err := s.Import(t.Context(), "debian", root); err != nil {
				t.Fatal(err)
			}
			const script = `set -e
mkdir -p /p/DEBIAN /p/usr/bin /p/var/lib/thing
printf 'Package: thing\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: a thing\n' >/p/DEBIAN/control
printf '#!/bin/sh\nset -e\nchown 33:33 /var/lib/thing\nchmod 4755 /usr/bin/thing\n' >/p/DEBIAN/postinst
chmod 755 /p/DEBIAN/postinst
echo thing >/p/usr/bin/thing
dpkg-deb --root-owner-group --build /p /thing.deb >/dev/null
dpkg -i /thing.deb >/dev/null
apt-get -qq -o APT::Sandbox::User=_apt install --reinstall /thing.deb </dev/null >/dev/null
dpkg -l thing | tail -n 1 | cut -c 1-2
stat -c '%u:%g %a' /usr/bin/thing /var/lib/thing
apt-get -qq remove thing </dev/null >/dev/null
dpkg -l thing 2>/dev/null | grep -c ^ii || true`
			b.is("installed and removed", b.docker("run", "--rm", "-e", "DEBIAN_FRONTEND=noninteractive", "-e", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "debian", "sh", "-c", script), "ii\n0:0 4755\n33:33 755\n0")
		})
	}
}

// debianRoot packs the root of a small Debian with apt, unpacked and not
// configured.
func debianRoot(t *testing.T) []byte {
	t.Helper()
	m, err := debian.ThisMachine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	root, err := debian.HostRoot(t.Context(), m, source+"/.cache", t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	packages, err := root.Resolve(t.Context(), "apt", "bash", "coreutils", "dash", "diffutils", "dpkg", "findutils", "grep", "gzip", "sed", "tar", "perl-base", "libc-bin", "base-passwd")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := root.Unpack(t.Context(), packages, dir); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers", "tmp", "var/tmp", "var/log/apt", "proc", "sys", "dev"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{
		"var/lib/dpkg/status": "", "etc/passwd": "root:x:0:0::/root:/bin/sh\n_apt:x:42:65534::/nonexistent:/bin/false\n", "etc/group": "root:x:0:\nnogroup:x:65534:\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var out, errs bytes.Buffer
	cmd := tarOf(t, dir)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	return out.Bytes()
}
