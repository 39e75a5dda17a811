package image_test

import (
	"encoding/base64"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/opencontainers/go-digest"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
)

// TestContainersOfPodman makes containers of an image that was pulled by an index, of
// one that was imported, and of none, and changes what podman wrote down.
func TestContainersOfPodman(t *testing.T) {
	if _, err := exec.LookPath("podman"); err != nil || os.Geteuid() != 0 {
		needs(t, "root and podman")
	}
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	where := strings.TrimPrefix(server.URL, "http://") + "/team/app"
	index, manifest := pushIndex(t, where+":1")

	dir := shortFolder(t)
	p := image.Podman{Root: filepath.Join(dir, "root"), Run: filepath.Join(dir, "run")}
	podman := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "podman", append([]string{"--root", p.Root, "--runroot", p.Run, "--cgroup-manager", "cgroupfs"}, args...)...) // #nosec G204 -- of this file
		var errs strings.Builder
		cmd.Stderr = &errs
		b, err := cmd.Output()
		if err != nil {
			t.Fatalf("podman %q: %v\n%s%s", args, err, b, errs.String())
		}
		return strings.TrimSpace(string(b))
	}
	create := func(args ...string) string {
		t.Helper()
		return podman(append([]string{"create", "--network", "none"}, args...)...)
	}
	podman("pull", "-q", "--tls-verify=false", where+":1")
	podman("tag", where+":1", "localhost/other:2")
	pulled := create(where+":1", "true")
	archive := filepath.Join(dir, "layer.tar")
	must(t, os.WriteFile(archive, tarOf(t, named("a", "b")), 0o600))
	podman("import", "-q", archive, "localhost/imported:1")
	imported := create("localhost/imported:1", "true")
	bare := create("--rootfs", t.TempDir(), "true")

	opened := func(id string) (all []string) {
		t.Helper()
		images, err := p.OpenContainer(t.Context(), id)
		must(t, err)
		for _, m := range images {
			if m.Top.Digest != m.Reference.Digest {
				t.Errorf("top %s of %s", m.Top.Digest, m.Reference)
			}
			if _, err := image.Unread(m).Walk(t.Context(), 0, image.Caps{}, nil); !fault.Is(err, fault.NotFound) {
				t.Errorf("layers that podman does not keep: %v", err)
			}
			all = append(all, m.Reference.String())
		}
		return all
	}
	if diff := cmp.Diff([]string{where + "@" + index, where + "@" + manifest}, opened(pulled)); diff != "" {
		t.Errorf("pulled (-want +got):\n%s", diff)
	}
	if all := opened(imported); len(all) != 1 || !strings.HasPrefix(all[0], "localhost/imported@sha256:") {
		t.Errorf("imported: %q", all)
	}
	for _, id := range []string{"none", "", bare} {
		if _, err := p.OpenContainer(t.Context(), id); !fault.Is(err, fault.NotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
	for name, tt := range map[string]struct {
		list, from, to string
		want           fault.Kind
	}{
		"another layer below":     {"layers", `"diff-digest":"sha256:`, `"diff-digest":"sha256:00`, fault.Invalid},
		"no layer below":          {"layers", `"parent":`, `"was":`, fault.Untrusted},
		"another image's config":  {"containers", `"image":"`, `"image":"` + strings.Repeat("0", 64) + `","was":"`, fault.NotFound},
		"an image that goes up":   {"images", `"id":"`, `"id":"../../`, fault.NotFound},
		"what is no list":         {"images", `[`, `{`, fault.Invalid},
		"manifests of other text": {"images", `"manifest-sha256:`, `"manifest-md5:`, fault.Invalid},
	} {
		file := filepath.Join(p.Root, "overlay-"+tt.list, tt.list+".json")
		was, err := os.ReadFile(file)
		must(t, err)
		must(t, os.WriteFile(file, []byte(strings.ReplaceAll(string(was), tt.from, tt.to)), 0o600))
		if all, err := p.OpenContainer(t.Context(), pulled); !fault.Is(err, tt.want) {
			t.Errorf("%s: %v, %v", name, all, err)
		}
		must(t, os.WriteFile(file, was, 0o600))
	}
	if diff := cmp.Diff([]string{where + "@" + index, where + "@" + manifest}, opened(pulled)); diff != "" {
		t.Errorf("in the end (-want +got):\n%s", diff)
	}
}

// pushIndex puts an image for two platforms into a registry, and returns the digests
// of its index and of the manifest for this machine.
func pushIndex(t *testing.T, where string) (index, manifest string) {
	t.Helper()
	r, err := name.ParseReference(where, name.Insecure)
	must(t, err)
	all := v1.ImageIndex(empty.Index)
	for _, arch := range []string{runtime.GOARCH, "s390x"} {
		m, err := random.Image(100, 2)
		must(t, err)
		config, err := m.ConfigFile()
		must(t, err)
		config.Architecture, config.OS = arch, "linux"
		m, err = mutate.ConfigFile(m, config)
		must(t, err)
		all = mutate.AppendManifests(all, mutate.IndexAddendum{Add: m, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
		if arch == runtime.GOARCH {
			d, err := m.Digest()
			must(t, err)
			manifest = d.String()
		}
	}
	must(t, remote.WriteIndex(r, all))
	d, err := all.Digest()
	must(t, err)
	return d.String(), manifest
}

// FuzzPodman has podman's lists say anything: nothing is opened but what is kept in
// its own folder, and whatever is opened is what it is called.
func FuzzPodman(f *testing.F) {
	const (
		id       = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" // of {}
		manifest = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:` + id + `","size":2},"layers":[]}`
	)
	top := digest.FromString(manifest)
	f.Add(`[{"id":"c","image":"`+id+`","layer":"l","metadata":"{\"image-name\":\"localhost/a:1\"}"}]`,
		`[{"id":"`+id+`","names":["localhost/a:1"],"big-data-names":["manifest-`+string(top)+`"]}]`, `[{"id":"l"}]`)
	f.Add(`[{"id":"c","image":"i","layer":"l"}]`, `[{"id":"../..","names":["a"]}]`, `[{"id":"l","parent":"l","diff-digest":"sha256:`+id+`"}]`)
	f.Fuzz(func(t *testing.T, containers, images, layers string) {
		root := t.TempDir()
		for file, text := range map[string]string{
			"overlay-containers/containers.json": containers, "overlay-images/images.json": images, "overlay-layers/layers.json": layers,
			"overlay-images/" + id + "/=" + base64.StdEncoding.EncodeToString([]byte("manifest-"+top)): manifest,
			"overlay-images/" + id + "/=" + base64.StdEncoding.EncodeToString([]byte("sha256:"+id)):    "{}",
		} {
			must(t, os.MkdirAll(filepath.Dir(filepath.Join(root, file)), 0o700))
			must(t, os.WriteFile(filepath.Join(root, file), []byte(text), 0o600))
		}
		all, err := image.Podman{Root: root}.OpenContainer(t.Context(), "c")
		if (err == nil) != (len(all) > 0) {
			t.Errorf("%d images, %v", len(all), err)
		}
		for _, m := range all {
			if m.Reference.Digest != top || m.Config.Digest.Encoded() != id {
				t.Errorf("%s with config %s", m.Reference, m.Config.Digest)
			}
		}
	})
}
