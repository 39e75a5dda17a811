package image_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
)

// startContainerd starts one with its state in a folder of its own, and returns
// the folder and what calls ctr.
func startContainerd(t *testing.T) (root string, ctr func(args ...string)) {
	t.Helper()
	dir := shortFolder(t)
	root, socket := filepath.Join(dir, "root"), filepath.Join(dir, "s")
	config := filepath.Join(dir, "config.toml")
	must(t, os.WriteFile(config, []byte("version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n"), 0o600))
	daemon(t, socket, "containerd", "--config", config, "--root", root, "--state", filepath.Join(dir, "state"), "--address", socket)
	return root, func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "ctr", append([]string{"--address", socket}, args...)...) // #nosec G204 -- of this file
		if b, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("ctr %q: %v\n%s", args, err, b)
		}
	}
}

func TestContainerd(t *testing.T) {
	root, ctr := startContainerd(t)
	save := func(body string) string {
		layer := string(tarOf(t, named("a", body)))
		config := configOf(t, digest.FromString(layer))
		hex := digest.FromString(config).Encoded()
		file := filepath.Join(t.TempDir(), "app.tar")
		must(t, os.WriteFile(file, tarOf(t, named("1/layer.tar", layer), named(hex+".json", config),
			named("manifest.json", `[{"Config":"`+hex+`.json","RepoTags":["app:1"],"Layers":["1/layer.tar"]}]`)), 0o600))
		return file
	}
	first, second := save("first"), save("second")
	ctr("images", "import", "--no-unpack", first)
	ctr("--namespace", "k8s.io", "images", "import", "--no-unpack", first)

	o := image.Opener{Containerd: root}
	for _, name := range []string{"docker.io/library/app:1", "app:1"} { // while containerd runs
		m, err := o.Open(t.Context(), "containerd:"+name, "")
		must(t, err)
		walkAll(t, m)
	}
	for _, name := range []string{"app:2", "none"} {
		if _, err := o.Open(t.Context(), "containerd:"+name, ""); !fault.Is(err, fault.NotFound) || fault.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}

	ctr("--namespace", "k8s.io", "images", "import", "--no-unpack", second)
	if _, err := o.Open(t.Context(), "containerd:app:1", ""); !fault.Is(err, fault.Invalid) || fault.HintOf(err) != "CONTAINERD_NAMESPACE=default chooses one" {
		t.Errorf("two images of one name: %v, hint %q", err, fault.HintOf(err))
	}
	var found []digest.Digest
	for _, o.Namespace = range []string{"default", "k8s.io"} {
		m, err := o.Open(t.Context(), "containerd:app:1", "")
		must(t, err)
		walkAll(t, m)
		found = append(found, m.Top.Digest)
	}
	if found[0] == found[1] {
		t.Errorf("both namespaces have %s", found[0])
	}
	if o.Namespace = "none"; true {
		if _, err := o.Open(t.Context(), "containerd:app:1", ""); !fault.Is(err, fault.NotFound) {
			t.Errorf("no such namespace: %v", err)
		}
	}
}

func TestContainerdThatIsNotThere(t *testing.T) {
	root := t.TempDir()
	_, err := (&image.Opener{Containerd: root}).Open(t.Context(), "containerd:app", "")
	if !fault.Is(err, fault.NotFound) || fault.HintOf(err) == "" {
		t.Errorf("%v, hint %q", err, fault.HintOf(err))
	}
	must(t, os.MkdirAll(filepath.Join(root, "io.containerd.metadata.v1.bolt"), 0o700))
	must(t, os.WriteFile(filepath.Join(root, "io.containerd.metadata.v1.bolt/meta.db"), []byte("rubbish"), 0o600))
	if _, err := (&image.Opener{Containerd: root}).Open(t.Context(), "containerd:app", ""); !fault.Is(err, fault.Invalid) {
		t.Errorf("a damaged database: %v", err)
	}
}
