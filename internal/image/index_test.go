package image_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/oci"
)

// layoutDir is an OCI layout that a test writes by hand, right or wrong.
type layoutDir struct {
	t   *testing.T
	dir string
}

func newLayout(t *testing.T) layoutDir {
	t.Helper()
	l := layoutDir{t, t.TempDir()}
	l.write("oci-layout", `{"imageLayoutVersion":"1.0.0"}`)
	return l
}

func (l layoutDir) write(name, content string) {
	l.t.Helper()
	name = filepath.Join(l.dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		l.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		l.t.Fatal(err)
	}
}

func (l layoutDir) blob(mediaType, content string) v1.Descriptor {
	l.t.Helper()
	d := v1.Descriptor{MediaType: mediaType, Digest: digest.FromString(content), Size: int64(len(content))}
	l.write("blobs/sha256/"+d.Digest.Encoded(), content)
	return d
}

func (l layoutDir) document(mediaType string, v any) v1.Descriptor {
	l.t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		l.t.Fatal(err)
	}
	return l.blob(mediaType, string(b))
}

// image adds an image of one layer; author makes it differ from others.
func (l layoutDir) image(platform, author string) v1.Descriptor {
	l.t.Helper()
	p, err := image.ParsePlatform(platform)
	if err != nil {
		l.t.Fatal(err)
	}
	layer := l.blob(v1.MediaTypeImageLayer, string(tarOf(l.t, named(author, platform))))
	config := l.document(v1.MediaTypeImageConfig, v1.Image{Author: author, Platform: p, RootFS: v1.RootFS{Type: "layers", DiffIDs: []digest.Digest{layer.Digest}}})
	d := l.document(v1.MediaTypeImageManifest, v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, Config: config, Layers: []v1.Descriptor{layer}})
	d.Platform = &p
	return d
}

func (l layoutDir) index(ds ...v1.Descriptor) v1.Descriptor {
	l.t.Helper()
	return l.document(v1.MediaTypeImageIndex, v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex, Manifests: ds})
}

// top makes d the layout's only image and returns its name.
func (l layoutDir) top(d v1.Descriptor) string {
	l.t.Helper()
	b, err := json.Marshal(v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, Manifests: []v1.Descriptor{d}})
	if err != nil {
		l.t.Fatal(err)
	}
	l.write("index.json", string(b))
	return "oci:" + l.dir
}

func TestPlatforms(t *testing.T) {
	l := newLayout(t)
	amd64, v6, v7, arm64 := l.image("linux/amd64", ""), l.image("linux/arm/v6", ""), l.image("linux/arm/v7", ""), l.image("linux/arm64/v8", "")
	unnamed := l.image("linux/s390x", "")
	unnamed.Platform = nil
	attestation := l.image("linux/amd64", "attestation")
	attestation.Platform = &v1.Platform{OS: "unknown", Architecture: "unknown"}
	name := l.top(l.index(amd64, v6, attestation, l.index(v7, arm64), unnamed))
	for platform, want := range map[string]v1.Descriptor{
		"linux/amd64": amd64, "linux/amd64/v3": amd64, "linux/arm/v6": v6, "linux/arm/v7": v7, "linux/arm": v7, "linux/arm/v8": v7,
		"linux/arm64": arm64, "linux/arm64/v8": arm64, "linux/s390x": unnamed,
	} {
		m, err := opener().Open(t.Context(), name, platform)
		if err != nil || m.Manifest.Digest != want.Digest || len(m.Siblings) != 5 {
			t.Errorf("%s: %+v, %v", platform, m, err)
		}
	}
	for platform, want := range map[string]string{"linux/riscv64": "linux/arm/v6", "unknown/unknown": "no image", "linux/arm/v5": "no image", "windows/amd64": "no image"} {
		if _, err := opener().Open(t.Context(), name, platform); !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want not found with %q", platform, err, want)
		}
	}
}

func TestSibling(t *testing.T) {
	l := newLayout(t)
	amd64, arm64 := l.image("linux/amd64", ""), l.image("linux/arm64", "")
	m, err := opener().Open(t.Context(), l.top(l.index(amd64, arm64)), "linux/amd64")
	if err != nil {
		t.Fatal(err)
	}
	other, err := m.Sibling(t.Context(), m.Siblings[1])
	if err != nil {
		t.Fatal(err)
	}
	if other.Manifest.Digest != arm64.Digest || other.Spec.Architecture != "arm64" || !cmp.Equal(other.Top, m.Top) {
		t.Errorf("sibling %+v", other)
	}
	walkAll(t, other)
	if _, err := m.Sibling(t.Context(), v1.Descriptor{Digest: m.Top.Digest}); !fault.Is(err, fault.NotFound) {
		t.Errorf("a manifest from elsewhere: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	tests := []struct {
		name     string
		make     func(l layoutDir) v1.Descriptor
		platform string
		kind     fault.Kind
		want     string
	}{
		{"two manifests of one platform", func(l layoutDir) v1.Descriptor {
			return l.index(l.image("linux/amd64", "a"), l.image("linux/amd64", "b"))
		}, "linux/amd64", fault.Invalid, "2 images for linux/amd64"},
		{"another platform", func(l layoutDir) v1.Descriptor { return l.image("linux/arm64", "") }, "linux/amd64", fault.NotFound, "linux/arm64"},
		{"deep indexes", func(l layoutDir) v1.Descriptor {
			d := l.image("linux/amd64", "")
			for range 8 {
				d = l.index(d)
			}
			return d
		}, "", fault.Invalid, "nested deeper"},
		{"many indexes", func(l layoutDir) v1.Descriptor {
			d := l.index()
			var ds []v1.Descriptor
			for range 100 {
				ds = append(ds, d)
			}
			return l.index(ds...)
		}, "", fault.Invalid, "more than 64"},
		{"an index that says it is a manifest", func(l layoutDir) v1.Descriptor {
			d := l.index(l.image("linux/amd64", ""))
			d.MediaType = v1.MediaTypeImageManifest
			return d
		}, "", fault.Invalid, "wrong media type"},
		{"an artifact", func(l layoutDir) v1.Descriptor {
			return l.document(v1.MediaTypeImageManifest, v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, Config: l.blob(v1.MediaTypeEmptyJSON, "{}"), Layers: []v1.Descriptor{}})
		}, "", fault.Invalid, "not of a container image"},
		{"fewer diff IDs than layers", func(l layoutDir) v1.Descriptor {
			config := l.document(v1.MediaTypeImageConfig, v1.Image{})
			return l.document(v1.MediaTypeImageManifest, v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, Config: config, Layers: []v1.Descriptor{l.blob(v1.MediaTypeImageLayer, "")}})
		}, "", fault.Invalid, "names 0 layers"},
		{"a config read two ways", func(l layoutDir) v1.Descriptor {
			config := l.blob(v1.MediaTypeImageConfig, `{"rootfs":{"diff_ids":[]},"RootFS":{"diff_ids":[]}}`)
			return l.document(v1.MediaTypeImageManifest, v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, Config: config, Layers: []v1.Descriptor{}})
		}, "", fault.Invalid, `"RootFS" instead of`},
		{"a large config", func(l layoutDir) v1.Descriptor {
			config := l.blob(v1.MediaTypeImageConfig, strings.Repeat(" ", oci.MaxManifest+1))
			return l.document(v1.MediaTypeImageManifest, v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, Config: config, Layers: []v1.Descriptor{}})
		}, "", fault.Invalid, "more than"},
		{"a changed manifest", func(l layoutDir) v1.Descriptor {
			d := l.image("linux/amd64", "")
			l.write("blobs/sha256/"+d.Digest.Encoded(), strings.Repeat("x", int(d.Size)))
			return d
		}, "", fault.Untrusted, "digest"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLayout(t)
			_, err := opener().Open(t.Context(), l.top(tt.make(l)), tt.platform)
			if !fault.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v (%v), want %v with %q", err, fault.KindOf(err), tt.kind, tt.want)
			}
		})
	}
}
