package image

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/durable"
	"plimsoll/internal/fault"
	"plimsoll/internal/oci"
	"plimsoll/internal/ref"
)

// Podman is where podman keeps its things for root, who alone can write there
// (containers-storage.conf(5), graphroot and runroot).
type Podman struct{ Root, Run string }

// Own returns the folders that podman makes for one container.
func (p Podman) Own(id string) []string {
	var all []string
	for _, root := range []string{p.Root, p.Run} {
		if root != "" {
			all = append(all, filepath.Join(root, "overlay-containers", id, "userdata"))
		}
	}
	return all
}

// Bounds of what podman writes down.
const (
	maxPodmanRecords = 64 << 20 // bytes of one list
	maxPodmanLayers  = 1000     // below one container
	maxPodmanTops    = 4        // manifests and indexes that one image is kept under
)

// podmanContainer, podmanImage and podmanLayer are entries of podman's lists
// (containers/storage, containers.go, images.go and layers.go).
type podmanContainer struct {
	ID       string `json:"id"`
	Image    string `json:"image"` // ID: the hexadecimal digest of the config
	Layer    string `json:"layer"`
	Metadata string `json:"metadata"`
}

type podmanImage struct {
	ID    string     `json:"id"`
	Names []string   `json:"names"`
	Top   ref.Digest `json:"digest"`
	Data  []string   `json:"big-data-names"`
}

type podmanLayer struct {
	ID     string     `json:"id"`
	Parent string     `json:"parent"`
	Diff   ref.Digest `json:"diff-digest"`
}

// OpenContainer returns the image that a container of podman's was made of, by
// podman's own records: once for each index and manifest that the image is kept
// under, indexes first. The container's layer must stand on the image's layers. The
// images' References are the name by which the container was asked for, and that
// digest. Their layers cannot be read: podman keeps none packed. NotFound if there
// is no such container, or its image has no name or manifest; Untrusted if it stands
// on something else.
func (p Podman) OpenContainer(ctx context.Context, id string) ([]*Image, error) {
	all, err := p.open(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("container %q of podman's in %q: %w", id, p.Root, err)
	}
	return all, nil
}

func (p Podman) open(ctx context.Context, id string) ([]*Image, error) {
	c, err := podmanRecord(p, "containers", func(c podmanContainer) bool { return c.ID == id })
	if err != nil {
		return nil, err
	}
	i, err := podmanRecord(p, "images", func(i podmanImage) bool { return i.ID == c.Image })
	if err != nil {
		return nil, fmt.Errorf("its image: %w", err)
	}
	if _, err := ref.ParseDigest("sha256:" + i.ID); err != nil {
		return nil, err
	}
	name, err := i.name(c)
	if err != nil {
		return nil, err
	}
	diffs, err := p.below(c.Layer)
	if err != nil {
		return nil, err
	}
	tops, err := p.tops(i)
	if err != nil {
		return nil, fmt.Errorf("image %q: %w", name, err)
	}
	var all []*Image
	for _, top := range tops {
		m := &Image{Name: name.String(), Reference: name.WithDigest(top.Digest), Top: top, Blobs: p.data(i)}
		if err := m.resolve(ctx, ""); err != nil {
			return nil, fmt.Errorf("image %q: %w", name, err)
		}
		if m.Config.Digest.Encoded() != i.ID || !slices.Equal(m.Spec.RootFS.DiffIDs, diffs) {
			return nil, fault.Errorf(fault.Untrusted, "it stands on %q, which are not the layers of %q", diffs, name)
		}
		all = append(all, m)
	}
	return all, nil
}

// podmanRecord returns the one that is meant of podman's list of a kind. Newer
// versions keep what does not outlive a boot in a list of its own.
func podmanRecord[T any](p Podman, kind string, meant func(T) bool) (T, error) {
	var none T
	all, err := podmanRecords[T](p, kind)
	if err != nil {
		return none, err
	}
	if i := slices.IndexFunc(all, meant); i >= 0 {
		return all[i], nil
	}
	return none, fault.Errorf(fault.NotFound, "podman has no such record")
}

func podmanRecords[T any](p Podman, kind string) ([]T, error) {
	var all []T
	for _, prefix := range []string{"", "volatile-"} {
		file := filepath.Join(p.Root, "overlay-"+kind, prefix+kind+".json")
		b, err := durable.ReadFile(file, maxPodmanRecords)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fault.As(fault.Unavailable, err)
		}
		var some []T
		if err := json.Unmarshal(b, &some); err != nil {
			return nil, fault.Errorf(fault.Invalid, "%q: %w", file, err)
		}
		all = append(all, some...)
	}
	return all, nil
}

// name returns the name by which the container's image was asked for, which must be
// one of the image's; without one, its first.
func (i podmanImage) name(c podmanContainer) (ref.Reference, error) {
	var asked struct {
		Name string `json:"image-name"`
	}
	if err := json.Unmarshal([]byte(c.Metadata), &asked); err != nil {
		return ref.Reference{}, fault.Errorf(fault.Invalid, "what podman noted of it: %w", err)
	}
	if len(i.Names) == 0 {
		return ref.Reference{}, fault.Errorf(fault.NotFound, "its image %.80q has no name", i.ID)
	}
	name := i.Names[0]
	if slices.Contains(i.Names, asked.Name) {
		name = asked.Name
	}
	r, err := ref.Parse(name)
	return r.GUN().Reference(), err
}

// below returns the digests of the unpacked layers below a container's own, bottom
// first.
func (p Podman) below(layer string) ([]ref.Digest, error) {
	all, err := podmanRecords[podmanLayer](p, "layers")
	if err != nil {
		return nil, err
	}
	byID := map[string]podmanLayer{}
	for _, l := range all {
		byID[l.ID] = l
	}
	var diffs []ref.Digest
	for at := byID[layer].Parent; at != ""; at = byID[at].Parent {
		l, ok := byID[at]
		if !ok || len(diffs) == maxPodmanLayers {
			return nil, fault.Errorf(fault.Invalid, "below layer %q one is missing, or there are more than %d", layer, maxPodmanLayers)
		}
		if _, err := ref.ParseDigest(string(l.Diff)); err != nil {
			return nil, fmt.Errorf("layer %.80q: %w", at, err)
		}
		diffs = append(diffs, l.Diff)
	}
	slices.Reverse(diffs)
	return diffs, nil
}

// tops returns what the image is kept under: the index that it was pulled by, if
// there was one, and its manifest.
func (p Podman) tops(i podmanImage) ([]v1.Descriptor, error) {
	var indexes, manifests []v1.Descriptor
	for _, data := range i.Data {
		text, ok := strings.CutPrefix(data, podmanManifest)
		if !ok || len(indexes)+len(manifests) == maxPodmanTops {
			continue
		}
		d, err := ref.ParseDigest(text)
		if err != nil {
			return nil, err
		}
		b, err := durable.ReadFile(p.data(i).file(data), oci.MaxManifest)
		if err != nil {
			return nil, fault.As(fault.Unavailable, err)
		}
		var says struct {
			MediaType string            `json:"mediaType"`
			Manifests []json.RawMessage `json:"manifests"`
		}
		if err := json.Unmarshal(b, &says); err != nil {
			return nil, fault.Errorf(fault.Invalid, "manifest %s: %w", d, err)
		}
		top := v1.Descriptor{MediaType: says.MediaType, Digest: d, Size: int64(len(b))}
		switch {
		case says.Manifests != nil:
			top.MediaType = cmp.Or(top.MediaType, v1.MediaTypeImageIndex)
			indexes = append(indexes, top)
		default:
			top.MediaType = cmp.Or(top.MediaType, v1.MediaTypeImageManifest)
			manifests = append(manifests, top)
		}
	}
	if len(indexes)+len(manifests) == 0 {
		return nil, fault.Errorf(fault.NotFound, "podman keeps no manifest of it")
	}
	return append(indexes, manifests...), nil
}

// podmanManifest is what the names of manifests and indexes begin with that podman
// keeps with an image; its config's is its digest.
const podmanManifest = "manifest-"

func (p Podman) data(i podmanImage) podmanData {
	return podmanData(filepath.Join(p.Root, "overlay-images", i.ID))
}

// podmanData is the folder of what podman keeps with one image, but for its layers.
type podmanData string

// file returns where something is kept; names with other characters than small
// letters, digits and dots are encoded (containers/storage, makeBigDataBaseName).
func (d podmanData) file(name string) string {
	return filepath.Join(string(d), "="+base64.StdEncoding.EncodeToString([]byte(name)))
}

// Open implements [Blobs].
func (d podmanData) Open(_ context.Context, want v1.Descriptor) (io.ReadCloser, error) {
	if err := oci.CheckDescriptor(want); err != nil {
		return nil, err
	}
	for _, name := range []string{podmanManifest + string(want.Digest), string(want.Digest)} {
		f, err := openRegular(d.file(name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("open blob %s: %w", want.Digest, err)
		}
		return oci.VerifyReader(f, want), nil
	}
	return nil, fault.Errorf(fault.NotFound, "podman does not keep blob %s", want.Digest)
}
