package agent_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"plimsoll/internal/image"
	"plimsoll/internal/seal/protocol"
)

// TestContainersOfPodman has a container made by podman, which nobody with a team
// asked for, and asks about it as the runtime would.
func TestContainersOfPodman(t *testing.T) {
	needRoot(t)
	needPrograms(t, "podman")
	dir := shortFolder(t)
	p := image.Podman{Root: filepath.Join(dir, "root"), Run: filepath.Join(dir, "run")}
	podman := func(args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "podman", append([]string{"--root", p.Root, "--runroot", p.Run, "--cgroup-manager", "cgroupfs"}, args...)...).Output()
		must(t, err)
		return strings.TrimSpace(string(out))
	}
	archive := filepath.Join(dir, "app.tar")
	must(t, os.WriteFile(archive, dockerArchive(t), 0o600))
	podman("load", "-q", "-i", archive)
	id := podman("create", "--network", "none", app, "/hello")

	w := newWorld(t)
	w.config.Podman = p
	w.open()
	ask := func(manager string) (*protocol.Grant, error) {
		return w.Grant(t.Context(), &protocol.Question{
			Version: 1, Verb: protocol.Create, ID: id, State: "/run/runc", Annotations: map[string]string{"io.container.manager": manager},
		})
	}
	w.comesIn("registry.example.com/app", func() (*protocol.Grant, error) { return ask("libpod") })
	g, err := ask("libpod")
	must(t, err)
	for _, root := range []string{p.Root, p.Run} {
		if own := filepath.Join(root, "overlay-containers", id, "userdata"); !slices.Contains(g.Own, own) {
			t.Errorf("%s is not the container's own: %q", own, g.Own)
		}
	}
	if g, err := ask("another"); err == nil {
		t.Errorf("a container that does not say it is podman's: %+v", g)
	}
	podman("rm", id)
	if g, err := ask("libpod"); err == nil {
		t.Errorf("a container that podman does not have: %+v", g)
	}
}
