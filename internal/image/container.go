package image

import (
	"context"
	"fmt"
	"path/filepath"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// OpenContainer returns the image that a container of containerd was made of, by
// containerd's own record: the image's name, what the name stands for now, and
// the layers that the container's snapshot stands on, which must be the image's.
// o.Namespace must be set. The image's Reference is the name with that digest.
// NotFound if there is no such container or it names no image or snapshot,
// Untrusted if the snapshot stands on something else.
func (o *Opener) OpenContainer(ctx context.Context, id string) (*Image, error) {
	root := o.Containerd
	if root == "" {
		root = defaultContainerd
	}
	db, err := openBolt(filepath.Join(root, containerdMetadata))
	if err != nil {
		return nil, storeHint(err)
	}
	defer func() { _ = db.Close() }()
	var c stowed
	if err := db.View(func(tx *boltTx) error {
		c, err = findContainer(tx, o.Namespace, id)
		return err
	}); err != nil {
		return nil, fmt.Errorf("container %q in containerd's namespace %q: %w", id, o.Namespace, err)
	}
	r, err := ref.Parse(c.image)
	if err != nil {
		return nil, fmt.Errorf("container %q: %w", id, err)
	}
	m := &Image{Name: c.image, Reference: r.WithDigest(c.target.Digest), Top: c.target, Blobs: contentStore{filepath.Join(root, containerdContent)}}
	if err := m.resolve(ctx, ""); err != nil {
		return nil, fmt.Errorf("container %q: open %q: %w", id, c.image, err)
	}
	chain := ChainIDs(m.Spec.RootFS.DiffIDs)
	if len(chain) == 0 || chain[len(chain)-1] != c.parent {
		return nil, fault.Errorf(fault.Untrusted, "container %q stands on %q, which is not what the layers of %q come to", id, c.parent, c.image)
	}
	return m, nil
}

// stowed is what containerd knows of a container.
type stowed struct {
	image  string
	target v1.Descriptor
	parent ref.Digest // of its snapshot: the chain ID of the layers below
}

// findContainer reads the records of a container, its snapshot and its image
// (containerd, metadata/buckets.go).
func findContainer(tx *boltTx, namespace, id string) (stowed, error) {
	root, err := tx.Bucket("v1")
	if err != nil {
		return stowed{}, err
	}
	b, err := root.Bucket(namespace, "containers", id)
	if err != nil {
		return stowed{}, err
	}
	fields := map[string]string{"image": "", "snapshotter": "", "snapshotKey": ""}
	for name := range fields {
		v, err := b.Get(name)
		if err != nil {
			return stowed{}, err
		}
		fields[name] = string(v)
	}
	snapshot, err := root.Bucket(namespace, "snapshots", fields["snapshotter"], fields["snapshotKey"])
	if err != nil {
		return stowed{}, err
	}
	parent, err := snapshot.Get("parent")
	if err != nil {
		return stowed{}, err
	}
	c := stowed{image: fields["image"]}
	if c.parent, err = ref.ParseDigest(string(parent)); err != nil {
		return stowed{}, err
	}
	c.target, err = target(root, namespace, c.image)
	return c, err
}
