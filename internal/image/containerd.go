package image

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/oci"
	"plimsoll/internal/ref"
)

// Where containerd keeps what it knows, below its folder of state, since 1.0.
const (
	defaultContainerd  = "/var/lib/containerd"
	containerdMetadata = "io.containerd.metadata.v1.bolt/meta.db"
	containerdContent  = "io.containerd.content.v1.content"
	maxNamespaces      = 1000
)

// findInContainerd finds an image in the store of containerd, which may be
// running: its database is only read, and its blobs are files named by digest.
func (o *Opener) findInContainerd(name string) (found, error) {
	root := o.Containerd
	if root == "" {
		root = defaultContainerd
	}
	db, err := openBolt(filepath.Join(root, containerdMetadata))
	if err != nil {
		return found{}, storeHint(err)
	}
	defer func() { _ = db.Close() }()
	var all []stored
	if err := db.View(func(tx *boltTx) error {
		all, err = findStored(tx, o.Namespace, spellings(name))
		return err
	}); err != nil {
		return found{}, fmt.Errorf("containerd's database: %w", err)
	}
	top, err := chooseStored(all, o.Namespace)
	return found{top: top, blobs: contentStore{filepath.Join(root, containerdContent)}}, err
}

func storeHint(err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fault.Hint(err, "only root may read the store; or ctr images export FILE IMAGE, then oci: or docker-archive:FILE")
	case errors.Is(err, fs.ErrNotExist):
		return fault.Hint(err, "there is no containerd on this machine, or CONTAINERD_ROOT must name its folder")
	}
	return err
}

// spellings are the names that containerd may know an image by: as it is
// written, and in full.
func spellings(name string) []string {
	all := []string{name}
	if r, err := ref.Parse(name); err == nil && r.String() != name {
		all = append(all, r.String())
	}
	return all
}

// stored is an image of a namespace.
type stored struct {
	namespace string
	target    v1.Descriptor
}

// findStored returns the images of the first spelling that a namespace knows,
// for every namespace or the one that is asked for.
func findStored(tx *boltTx, namespace string, names []string) ([]stored, error) {
	root, err := tx.Bucket("v1")
	if err != nil {
		return nil, err
	}
	namespaces := []string{namespace}
	if namespace == "" {
		if namespaces, err = root.Names(maxNamespaces); err != nil {
			return nil, err
		}
	}
	var all []stored
	for _, ns := range namespaces {
		for _, name := range names {
			d, err := target(root, ns, name)
			if fault.Is(err, fault.NotFound) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("namespace %q: %w", ns, err)
			}
			all = append(all, stored{ns, d})
			break
		}
	}
	return all, nil
}

// target reads what an image's name stands for.
func target(root *boltBucket, namespace, name string) (v1.Descriptor, error) {
	b, err := root.Bucket(namespace, "images", name, "target")
	if err != nil {
		return v1.Descriptor{}, err
	}
	var d v1.Descriptor
	for key, set := range map[string]func([]byte) error{
		"digest":    func(v []byte) (err error) { d.Digest, err = ref.ParseDigest(string(v)); return err },
		"mediatype": func(v []byte) error { d.MediaType = string(v); return nil },
		"size":      func(v []byte) (err error) { d.Size, err = varint(v); return err },
	} {
		v, err := b.Get(key)
		if err == nil {
			err = set(v)
		}
		if err != nil {
			return v1.Descriptor{}, fault.As(fault.Invalid, fmt.Errorf("image %q: %s: %w", name, key, err))
		}
	}
	return d, nil
}

func varint(b []byte) (int64, error) {
	n, used := binary.Varint(b)
	if used <= 0 {
		return 0, fault.Errorf(fault.Invalid, "%d bytes that are no number", len(b))
	}
	return n, nil
}

// chooseStored returns the one image among those found.
func chooseStored(all []stored, namespace string) (v1.Descriptor, error) {
	if len(all) == 0 {
		if namespace != "" {
			err := fault.Errorf(fault.NotFound, "no image of that name in containerd's namespace %q", namespace)
			return v1.Descriptor{}, fault.Hint(err, "ctr --namespace %s images list", namespace)
		}
		err := fault.Errorf(fault.NotFound, "no image of that name in any namespace of containerd")
		return v1.Descriptor{}, fault.Hint(err, "ctr --namespace default images list")
	}
	var names []string
	same := true
	for _, s := range all {
		names = append(names, s.namespace)
		same = same && s.target.Digest == all[0].target.Digest
	}
	if !same {
		slices.Sort(names)
		err := fault.Errorf(fault.Invalid, "containerd's namespaces %q have different images of that name", names)
		return v1.Descriptor{}, fault.Hint(err, "CONTAINERD_NAMESPACE=%s chooses one", names[0])
	}
	return all[0].target, nil
}

// contentStore is containerd's folder of blobs.
type contentStore struct{ dir string }

// Open implements [Blobs].
func (s contentStore) Open(_ context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	if err := oci.CheckDescriptor(d); err != nil {
		return nil, err
	}
	f, err := openRegular(filepath.Join(s.dir, v1.ImageBlobsDir, d.Digest.Algorithm().String(), d.Digest.Encoded()))
	if errors.Is(err, os.ErrNotExist) {
		err := fault.Errorf(fault.NotFound, "blob %s is not in containerd's store", d.Digest)
		return nil, fault.Hint(err, "containerd may have thrown layers away that it unpacked: ctr content fetch REFERENCE brings them back")
	}
	if err != nil {
		return nil, fmt.Errorf("open blob %s: %w", d.Digest, err)
	}
	return oci.VerifyReader(f, d), nil
}
