package image_test

import (
	"archive/tar"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/oci"
	"plimsoll/internal/ref"
)

// save writes files as a docker archive and returns its name.
func save(t testing.TB, files ...file) string {
	t.Helper()
	archive := filepath.Join(t.TempDir(), "archive.tar")
	if err := os.WriteFile(archive, tarOf(t, files...), 0o600); err != nil {
		t.Fatal(err)
	}
	return "docker-archive:" + archive
}

func named(name, body string) file { return file{Header: tar.Header{Name: name}, body: body} }

// legacyArchive returns the files of an archive as docker save wrote them
// before version 25: two plain layers, one of them twice by a link.
func legacyArchive(t testing.TB) (files []file, layer string) {
	t.Helper()
	layer = string(tarOf(t, named("a", "content")))
	d := digest.FromString(layer)
	config := configOf(t, d, d)
	return []file{
		named("1/layer.tar", layer),
		{Header: tar.Header{Name: "2/layer.tar", Typeflag: tar.TypeSymlink, Linkname: "../1/layer.tar"}},
		named(digest.FromString(config).Encoded()+".json", config),
		named("manifest.json", `[{"Config":"`+digest.FromString(config).Encoded()+`.json","RepoTags":["app:1"],"Layers":["1/layer.tar","2/layer.tar"]}]`),
	}, layer
}

func configOf(t testing.TB, diffIDs ...ref.Digest) string {
	t.Helper()
	b, err := json.Marshal(v1.Image{
		Platform: v1.Platform{OS: "linux", Architecture: "amd64"},
		RootFS:   v1.RootFS{Type: "layers", DiffIDs: diffIDs},
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// savedLayout returns the files of an archive as docker save writes them from
// version 25 on: an OCI layout and the manifest.json beside it.
func savedLayout(t testing.TB) []file {
	t.Helper()
	layer := string(tarOf(t, named("a", "content")))
	config := configOf(t, digest.FromString(layer))
	describe := func(mediaType, b string) v1.Descriptor {
		return v1.Descriptor{MediaType: mediaType, Digest: digest.FromString(b), Size: int64(len(b))}
	}
	manifest, err := json.Marshal(v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest,
		Config: describe(v1.MediaTypeImageConfig, config), Layers: []v1.Descriptor{describe(v1.MediaTypeImageLayer, layer)},
	})
	if err != nil {
		t.Fatal(err)
	}
	index, err := json.Marshal(v1.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, Manifests: []v1.Descriptor{describe(v1.MediaTypeImageManifest, string(manifest))},
	})
	if err != nil {
		t.Fatal(err)
	}
	blob := func(b string) string { return "blobs/sha256/" + digest.FromString(b).Encoded() }
	return []file{
		named(blob(layer), layer), named(blob(config), config), named(blob(string(manifest)), string(manifest)),
		named("index.json", string(index)), named("oci-layout", `{"imageLayoutVersion":"1.0.0"}`),
		named("manifest.json", `[{"Config":"`+blob(config)+`","RepoTags":["app:1"],"Layers":["`+blob(layer)+`"]}]`),
	}
}

func TestDockerArchives(t *testing.T) {
	legacy, _ := legacyArchive(t)
	img, err := random.Image(10_000, 2)
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag("example.com/app:1")
	if err != nil {
		t.Fatal(err)
	}
	written := filepath.Join(t.TempDir(), "ggcr.tar")
	if err := tarball.WriteToFile(written, tag, img); err != nil {
		t.Fatal(err)
	}
	for name, archive := range map[string]string{
		"legacy": save(t, legacy...), "OCI layout": save(t, savedLayout(t)...), "compressed layers": "docker-archive:" + written,
	} {
		t.Run(name, func(t *testing.T) {
			m, err := opener().Open(t.Context(), archive, "")
			if err != nil {
				t.Fatal(err)
			}
			walkAll(t, m)
			if b := m.Manifest; b.Digest != m.Top.Digest || b.Size == 0 {
				t.Errorf("manifest %+v, top %+v", b, m.Top)
			}
		})
	}
}

func TestHostileDockerArchives(t *testing.T) {
	legacy, layer := legacyArchive(t)
	modern := savedLayout(t)
	change := func(files []file, i int, f file) []file {
		changed := append([]file{}, files...)
		changed[i] = f
		return changed
	}
	other := string(tarOf(t, named("b", "other")))
	tests := []struct {
		name  string
		files []file
		kind  fault.Kind
		want  string
	}{
		{"another layer", change(legacy, 0, named("1/layer.tar", other)), fault.Untrusted, "have digest"},
		{"another layer by the same name", change(legacy, 1, named("2/layer.tar", other)), fault.Untrusted, "diff ID"},
		{"another config", change(legacy, 2, named(legacy[2].Name, configOf(t, digest.FromString(layer)))), fault.Untrusted, "config"},
		{"no config", change(legacy, 2, named("x", "")), fault.NotFound, "not in the archive"},
		{"a link to the outside", change(legacy, 0, file{Header: tar.Header{Name: "1/layer.tar", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}}), fault.NotFound, "not in the archive"},
		{"a link to itself", change(legacy, 0, file{Header: tar.Header{Name: "1/layer.tar", Typeflag: tar.TypeSymlink, Linkname: "layer.tar"}}), fault.NotFound, "not in the archive"},
		{"a name outside", append(legacy, named("../x", "")), fault.Invalid, "escapes"},
		{"a file twice", append(legacy, legacy[3]), fault.Invalid, "twice"},
		{"two images", change(legacy, 3, named("manifest.json", `[{"RepoTags":["a:1"]},{"RepoTags":["b:1"]}]`)), fault.Invalid, `["a:1" "b:1"]`},
		{"a layer too few", change(legacy, 3, named("manifest.json", `[{"Config":"`+legacy[2].Name+`","Layers":["1/layer.tar"]}]`)), fault.Invalid, "names 2 layers"},
		{"fields twice", change(legacy, 3, named("manifest.json", `[{"Layers":[],"Layers":[]}]`)), fault.Invalid, "twice"},
		{"fields in lower case", change(legacy, 3, named("manifest.json", `[{"layers":[]}]`)), fault.Invalid, "instead of"},
		{"a device", append(legacy, file{Header: tar.Header{Name: "x", Typeflag: tar.TypeChar}}), fault.Invalid, "entry of type"},
		{"nothing", nil, fault.NotFound, "manifest.json"},
		{"two stories", change(modern, 5, named("manifest.json", `[{"Config":"`+modern[1].Name+`","Layers":["index.json"]}]`)), fault.Invalid, "different images"},
		{"another blob", change(modern, 0, named(modern[0].Name, other)), fault.Untrusted, "digest"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := opener().Open(t.Context(), save(t, tt.files...), "")
			if err == nil {
				_, _, _, err = list(m, image.Caps{})
			}
			if !fault.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v (%v), want %v with %q", err, fault.KindOf(err), tt.kind, tt.want)
			}
		})
	}
}

func TestWhatIsNoDockerArchive(t *testing.T) {
	dir := t.TempDir()
	packed, cut, fifo := filepath.Join(dir, "packed"), filepath.Join(dir, "cut"), filepath.Join(dir, "fifo")
	legacy, _ := legacyArchive(t)
	whole := tarOf(t, legacy...)
	for name, b := range map[string][]byte{packed: gzipOf(t, whole), cut: whole[:1000]} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fault.Kind{packed: fault.Invalid, cut: fault.Invalid, fifo: fault.Invalid, dir: fault.Invalid, dir + "/none": fault.NotFound} {
		if _, err := opener().Open(t.Context(), "docker-archive:"+name, ""); !fault.Is(err, want) {
			t.Errorf("%s: error %v, want %v", filepath.Base(name), err, want)
		}
	}
}

func FuzzDockerArchive(f *testing.F) {
	legacy, _ := legacyArchive(f)
	f.Add([]byte(legacy[3].body), []byte(legacy[2].body))
	f.Fuzz(func(t *testing.T, manifest, config []byte) {
		archive := save(t, legacy[0], legacy[1], named(legacy[2].Name, string(config)), named("c", string(config)), named("manifest.json", string(manifest)))
		m, err := opener().Open(t.Context(), archive, "")
		if err != nil {
			if fault.Is(err, fault.Internal) || fault.Is(err, fault.Unavailable) {
				t.Errorf("error %v is %v", err, fault.KindOf(err))
			}
			return
		}
		if len(m.Layers) != len(m.Spec.RootFS.DiffIDs) || m.Config.MediaType != oci.DockerConfig {
			t.Errorf("image %+v", m)
		}
	})
}
