package scan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/ref"
)

// format is raised whenever facts are written in another form or gathered by
// other rules.
const format = 4

// maxKept is the weight up to which facts are kept: writing more of them down
// takes more memory than reading the layer again.
const maxKept = 16 << 20

// maxSum is more than the line before what is kept, bytes.
const maxSum = 128

// Cache keeps bytes by key. A key is lower-case hexadecimal.
type Cache interface {
	// Get returns what was put, or an error that is [fs.ErrNotExist].
	Get(key string) ([]byte, error)
	Put(key string, b []byte) error
}

type noCache struct{}

func (noCache) Get(string) ([]byte, error) { return nil, fs.ErrNotExist }
func (noCache) Put(string, []byte) error   { return nil }

// key names the facts of a layer: by the bytes of its blob, how they are read
// (the media type says how they are compressed), and the extractors.
func (s *Scanner) key(d v1.Descriptor) string {
	var b strings.Builder
	fmt.Fprintf(&b, "format %d\n%s\n%s\n", format, d.Digest, d.MediaType)
	if s.Bad != nil {
		fmt.Fprintln(&b, "all sums")
	}
	for _, x := range s.Extractors {
		fmt.Fprintf(&b, "%s:%d\n", x.Name(), x.Version())
	}
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:])
}

// imageKey names the inventory of an image: by its config, the facts of its
// layers and what is known of bad files. It is "" if the image has no config
// that a digest names.
func (s *Scanner) imageKey(m *image.Image) string {
	if m.Config.Digest == "" {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "inventory 2\n%s\n%s\n", m.Manifest.Digest, m.Config.Digest)
	for _, d := range m.Layers {
		fmt.Fprintln(&b, s.key(d))
	}
	if s.Bad != nil {
		fmt.Fprintln(&b, s.Bad.Version())
	}
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:])
}

// load returns the facts under key, or nil if there are none. What was damaged
// is an error and will be computed again.
func load(c Cache, key string, layer ref.Digest) (*inventory.Facts, error) {
	f := &inventory.Facts{}
	if ok, err := get(c, key, f); err != nil || !ok {
		return nil, wrap(err, "kept facts of layer "+string(layer))
	}
	if f.Digest != layer {
		return nil, fmt.Errorf("kept facts of layer %s are those of %q", layer, f.Digest)
	}
	return f, nil
}

func store(c Cache, key string, f *inventory.Facts) error {
	return wrap(put(c, key, f), "keep facts of layer "+string(f.Digest))
}

// loadInventory returns the inventory under key, or nil if there is none.
func loadInventory(c Cache, key string, m *image.Image) (*inventory.Inventory, error) {
	if key == "" {
		return nil, nil //nolint:nilnil // nothing is kept, which is no mistake
	}
	v := &inventory.Inventory{}
	if ok, err := get(c, key, v); err != nil || !ok {
		return nil, wrap(err, "kept inventory of "+string(m.Manifest.Digest))
	}
	if v.Manifest != m.Manifest.Digest || len(v.Layers) != len(m.Layers) {
		return nil, fmt.Errorf("kept inventory of %s is that of %q", m.Manifest.Digest, v.Manifest)
	}
	v.Image = m.Name
	if err := layersOf(v, func(index int) ref.Digest { return v.Layers[index].Digest }); err != nil {
		return nil, wrap(err, "kept inventory of "+string(m.Manifest.Digest))
	}
	return v, nil
}

func storeInventory(c Cache, key string, v *inventory.Inventory) error {
	err := layersOf(v, func(int) ref.Digest { return "" })
	if err == nil {
		err = put(c, key, v)
	}
	return wrap(errors.Join(err, layersOf(v, func(index int) ref.Digest { return v.Layers[index].Digest })), "keep inventory of "+string(v.Manifest))
}

// layersOf sets the layers of all evidence: a kept inventory leaves them out, as
// their digests are half of it and follow from the index.
func layersOf(v *inventory.Inventory, layer func(index int) ref.Digest) error {
	for _, list := range [][]inventory.Component{v.Components, v.Removed} {
		for i := range list {
			for k := range list[i].Evidence {
				e := &list[i].Evidence[k]
				if e.Index < 0 || e.Index >= len(v.Layers) {
					return fmt.Errorf("evidence in layer %d of %d", e.Index, len(v.Layers))
				}
				e.Layer = layer(e.Index)
			}
		}
	}
	return nil
}

func wrap(err error, what string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// get reads what was kept under key into v. ok is false if there is nothing.
func get(c Cache, key string, v any) (ok bool, err error) {
	b, err := c.Get(key)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	sum, body, _ := bytes.Cut(b, []byte("\n"))
	if got := checksum(body); string(sum) != got {
		return false, errors.New("damaged, and will be replaced")
	}
	return true, json.Unmarshal(body, v)
}

// put keeps v. What JSON does not carry without loss, such as the names in a
// database that are no UTF-8, or what is too large to be read back, is not kept:
// kept facts must be those that the layer gives.
func put(c Cache, key string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if bytes.Contains(body, []byte(`\ufffd`)) || len(body) > maxCached-maxSum {
		return nil
	}
	return c.Put(key, append([]byte(checksum(body)+"\n"), body...))
}

func checksum(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}
