//go:build linux

package cli_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"plimsoll/internal/tools/engines"
)

// hostPrograms are what a page's host needs beside what every host does.
var hostPrograms = []string{"containerd-shim-runc-v2", "docker-proxy", "iptables", "mke2fs", "setpriv", "bash"}

// hostTeams are the teams of the pages' hosts. No two pages have the same, as the
// machine's control groups are not a host's own.
var hostTeams = regexp.MustCompile(`(?m)^  ([a-z]+):\n    members:`)

// hostScript makes a host of the folder $1 with a stock Docker Engine that nobody
// has started yet: a file system of its own at /var/lib, units as Debian's docker.io
// has them. $2 is this test program.
const hostScript = `set -e
truncate -s 2G "$1/disk"
mke2fs -q -t ext4 "$1/disk"
mount -o loop "$1/disk" /var/lib
mkdir "$1/up" /var/lib/docker /var/lib/containerd /var/lib/plimsoll
mount -t tmpfs -o mode=0755 up "$1/up"
mkdir "$1/up/over" "$1/up/work"
mount -t overlay -o "lowerdir=/usr/local/bin,upperdir=$1/up/over,workdir=$1/up/work" overlay /usr/local/bin
cp "$1/build/plimsoll" "$1/build/plimsoll-runtime" /usr/local/bin/
ln -s "$2" /usr/local/sbin/systemctl
ln -s "$2" /usr/local/sbin/systemd-tmpfiles
rm -rf /etc/systemd/system/docker* /etc/plimsoll /etc/containerd /etc/cni
: >/etc/subuid
: >/etc/subgid
mkdir -p /etc/systemd/system /etc/docker
cat >/etc/systemd/system/docker.service <<'END'
[Unit]
Requires=docker.socket

[Service]
Type=notify
ExecStart=dockerd -H fd:// --containerd=/run/containerd/containerd.sock
END
cat >/etc/systemd/system/docker.socket <<'END'
[Socket]
ListenStream=/run/docker.sock
SocketMode=0660
SocketUser=root
SocketGroup=docker
END
containerd >/run/log-containerd 2>&1 &
until [ -S /run/containerd/containerd.sock ]; do sleep 0.1; done
systemctl start docker.socket docker.service
`

// hostShell is what the reader's shell has before the page: the reader is alice,
// and sudo makes somebody else of her.
const hostShell = `
as() { local who=$1; shift; setpriv --reuid="$who" --regid="$who" --init-groups env HOME="$HOME" "$@"; }
docker() { as alice docker "$@"; }
plimsoll() { as alice plimsoll "$@"; }
podman() { env -u DOCKER_CONFIG podman "$@"; }
sudo() { if [ "$1" = podman ]; then HOME=/root "$@"; elif [ "$1" = -u ]; then local who=$2; shift 2; as "$who" "$@"; else HOME=/root command "$@"; fi; }
`

// pageHost starts a host for a page, see hostScript.
func pageHost(t *testing.T, text string) *engines.Host {
	t.Helper()
	h, err := engines.NewHost(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, unit := range []string{"docker.service", "plimsoll-guard.service"} {
				if b, err := os.ReadFile(h.Path("/run/log-" + unit)); err == nil {
					t.Logf("%s:\n%s", unit, b[max(0, len(b)-6000):])
				}
			}
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	h.Remove("/plimsoll/unattributed")
	for _, m := range hostTeams.FindAllStringSubmatch(text, -1) {
		h.Remove("/plimsoll/" + m[1])
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", h.Dir+"/build/", "./cmd/plimsoll", "./cmd/plimsoll-runtime")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Run(t.Context(), "bash", "-c", hostScript, "bash", h.Dir, program); err != nil {
		t.Fatal(err)
	}
	return h
}

// listenOn listens in the network of a host.
func listenOn(ctx context.Context, h *engines.Host, address string) (net.Listener, error) {
	type result struct {
		l   net.Listener
		err error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
		var r result
		ns, err := os.Open(h.Path("/proc/1/ns/net"))
		if err == nil {
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
			_ = ns.Close()
		}
		if r.err = err; err == nil {
			r.l, r.err = new(net.ListenConfig).Listen(ctx, "tcp", address)
		}
		done <- r
	}()
	r := <-done
	return r.l, r.err
}
