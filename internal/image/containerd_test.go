package image_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/ref"
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

// TestContainersOfContainerd makes containers of an image, and one whose snapshot
// is something else than the image that it names.
func TestContainersOfContainerd(t *testing.T) {
	root, ctr := startContainerd(t)
	for _, tag := range []string{"1", "2"} {
		layer := string(tarOf(t, named("a", "body of "+tag)))
		config := configOf(t, digest.FromString(layer))
		hex := digest.FromString(config).Encoded()
		file := filepath.Join(t.TempDir(), "app.tar")
		must(t, os.WriteFile(file, tarOf(t, named("1/layer.tar", layer), named(hex+".json", config),
			named("manifest.json", `[{"Config":"`+hex+`.json","RepoTags":["app:`+tag+`"],"Layers":["1/layer.tar"]}]`)), 0o600))
		ctr("images", "import", "--snapshotter", "native", file)
		ctr("containers", "create", "--snapshotter", "native", "docker.io/library/app:"+tag, "c"+tag)
	}
	ctr("containers", "create", "--snapshotter", "native", "--rootfs", t.TempDir(), "bare")

	o := image.Opener{Containerd: root, Namespace: "default"}
	m, err := o.OpenContainer(t.Context(), "c1")
	must(t, err)
	if m.Reference.String() != "docker.io/library/app@"+string(m.Top.Digest) {
		t.Errorf("reference %q", m.Reference)
	}
	walkAll(t, m)
	if _, err := image.Unread(m).Walk(t.Context(), 0, image.Caps{}, nil); !fault.Is(err, fault.NotFound) {
		t.Errorf("layers that must not be read: %v", err)
	}
	for _, id := range []string{"none", "bare"} {
		if _, err := o.OpenContainer(t.Context(), id); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", id, err)
		}
	}
	ctr("images", "tag", "--force", "docker.io/library/app:2", "docker.io/library/app:1")
	if _, err := o.OpenContainer(t.Context(), "c1"); !fault.Is(err, fault.Untrusted) {
		t.Errorf("a container of another image than its name stands for: %v", err)
	}
}

func TestKept(t *testing.T) {
	l := newLayout(t)
	top := l.index(l.image("linux/amd64", ""), l.image("linux/arm64", ""))
	m, err := opener().Open(t.Context(), l.top(top), "linux/amd64")
	must(t, err)
	k, err := image.Keep(t.Context(), m)
	must(t, err)
	r, err := ref.Parse("registry.example.com/app:1")
	must(t, err)
	again, err := k.Open(t.Context(), "app", r, nil)
	must(t, err)
	if again.Top.Digest != top.Digest || again.Manifest.Digest != m.Manifest.Digest || again.Config.Digest != m.Config.Digest ||
		again.Reference.Digest != top.Digest || len(again.Layers) != len(m.Layers) {
		t.Errorf("kept %+v\nof %+v", again, m)
	}
	if _, err := again.Walk(t.Context(), 0, image.Caps{}, nil); !fault.Is(err, fault.NotFound) {
		t.Errorf("layers of what was kept: %v", err)
	}
	whole, err := k.Open(t.Context(), "app", r, func(context.Context) (image.Blobs, error) { return m.Blobs, nil })
	must(t, err)
	walkAll(t, whole)
	for name, spoil := range map[string]func(*image.Kept){
		"another config": func(k *image.Kept) { k.Config = []byte("{}") },
		"no manifest":    func(k *image.Kept) { k.Manifest = nil },
		"an index": func(k *image.Kept) {
			k.Manifest = []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`)
		},
	} {
		bad := *k
		spoil(&bad)
		if _, err := bad.Open(t.Context(), "app", r, nil); err == nil {
			t.Errorf("%s was opened", name)
		}
	}
}
