package agent_test

import (
	"archive/tar"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"plimsoll/internal/agent"
	"plimsoll/internal/fault"
	"plimsoll/internal/policy"
	"plimsoll/internal/ref"
	"plimsoll/internal/seal/protocol"
)

// TestContainersOfContainerd has containers made by ctr, which nobody with a team
// asked for, and asks about them as the runtime would.
func TestContainersOfContainerd(t *testing.T) {
	needRoot(t)
	needPrograms(t, "containerd", "ctr")
	dir := shortFolder(t)
	root, socket := filepath.Join(dir, "root"), filepath.Join(dir, "s")
	config := filepath.Join(dir, "config.toml")
	must(t, os.WriteFile(config, []byte("version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n"), 0o600))
	cmd := exec.Command("containerd", "--config", config, "--root", root, "--state", filepath.Join(dir, "state"), "--address", socket)
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	ctr := func(args ...string) error {
		return exec.CommandContext(t.Context(), "ctr", append([]string{"--address", socket}, args...)...).Run()
	}
	for i := 0; ctr("version") != nil; i++ {
		if i == 300 {
			t.Fatal("containerd does not answer")
		}
		time.Sleep(100 * time.Millisecond)
	}
	archive := filepath.Join(dir, "app.tar")
	must(t, os.WriteFile(archive, dockerArchive(t), 0o600))
	must(t, ctr("images", "import", "--snapshotter", "native", archive))
	must(t, ctr("containers", "create", "--snapshotter", "native", app, "one"))

	w := newWorld(t)
	w.config.Containerd = root
	w.open()
	ask := func(id, state string) (*protocol.Grant, error) {
		return w.Grant(t.Context(), &protocol.Question{Version: 1, Verb: protocol.Create, ID: id, State: state})
	}
	const here = "/run/containerd/runc/default"
	w.comesIn("registry.example.com/app", func() (*protocol.Grant, error) { return ask("one", here) })
	for id, state := range map[string]string{"one": "/run/containerd/runc/k8s.io", "two": here} {
		if g, err := ask(id, state); err == nil {
			t.Errorf("%s of %s: %+v", id, state, g)
		}
	}
	if agent.Holder(here, "one") == agent.Holder("/run/containerd/runc/k8s.io", "one") {
		t.Error("two containers of one ID hold the same")
	}
}

func needPrograms(t testing.TB, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("needs %s, which this lane must have", program)
			}
			t.Skipf("needs %s", program)
		}
	}
}

// comesIn has a container asked about that nobody with a team made: it is refused
// until the policy has it, its image is signed, and it was scanned.
func (w *world) comesIn(gun ref.GUN, ask func() (*protocol.Grant, error)) {
	w.t.Helper()
	if g, err := ask(); !fault.Is(err, fault.Denied) {
		w.t.Errorf("by default: %+v, %v", g, err)
	}
	w.rule(strings.Replace(document, "host: {", "host: {unattributed: minimal, ", 1))
	if g, err := ask(); !fault.Is(err, fault.Untrusted) || !strings.Contains(err.Error(), "no role names it") {
		w.t.Errorf("an image that nobody signed: %+v, %v", g, err)
	}
	all := w.recorded()
	last := all[len(all)-1]
	w.registry.mu.Lock()
	w.registry.signed[last.Digest] = true
	w.registry.mu.Unlock()
	if g, err := ask(); !fault.Is(err, fault.Untrusted) || !strings.Contains(err.Error(), "nothing is scanned") {
		w.t.Errorf("an image that was not scanned: %+v, %v", g, err)
	}
	w.registry.mu.Lock()
	w.registry.scanned[last.Manifest] = true
	w.registry.mu.Unlock()
	g, err := ask()
	if err != nil || g.Team != policy.Unattributed || g.Profile.Network.Mode != "none" {
		w.t.Fatalf("%+v, %v", g, err)
	}
	all = w.recorded()
	if now := all[len(all)-1]; now.Digest != last.Digest || now.GUN != gun || now.Team != "" {
		w.t.Errorf("recorded %+v", now)
	}
}

func dockerArchive(t *testing.T) []byte {
	t.Helper()
	pack := func(files ...[2]string) []byte {
		var b bytes.Buffer
		tw := tar.NewWriter(&b)
		for _, f := range files {
			must(t, tw.WriteHeader(&tar.Header{Name: f[0], Mode: 0o755, Size: int64(len(f[1])), Typeflag: tar.TypeReg}))
			_, err := tw.Write([]byte(f[1]))
			must(t, err)
		}
		must(t, tw.Close())
		return b.Bytes()
	}
	layer := pack([2]string{"hello", "world"})
	text := `{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["` + string(digest.FromBytes(layer)) + `"]}}`
	hex := digest.FromString(text).Encoded()
	return pack([2]string{hex + ".json", text}, [2]string{"l/layer.tar", string(layer)},
		[2]string{"manifest.json", `[{"Config":"` + hex + `.json","RepoTags":["` + app + `"],"Layers":["l/layer.tar"]}]`})
}
