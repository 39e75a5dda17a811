package agent

import (
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"regexp"

	"github.com/opencontainers/go-digest"

	"plimsoll/internal/durable"
	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/ref"
)

// maxDocument bounds a file of the engine, bytes.
const maxDocument = 8 << 20

// docker is the folder in which a Docker engine keeps its state. Only root can
// write there. The engine's API is never asked: while it waits for the runtime it
// has the container locked, and would wait for us.
type docker struct{ root string }

// written is what the engine has written down about a container (moby,
// container.Container in config.v2.json).
type written struct {
	ID          string
	Image       ref.Digest // the image's ID
	MountPoints map[string]struct{ Type, Name, Driver string }
}

// container reads it; NotFound if there is none of that ID.
func (d docker) container(id string) (*written, error) {
	if d.root == "" {
		return nil, fault.Errorf(fault.NotFound, "no folder of a Docker engine is known")
	}
	b, err := durable.ReadFile(filepath.Join(d.folder(id), "config.v2.json"), maxDocument)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Errorf(fault.NotFound, "the Docker engine in %q has no container %s", d.root, id)
	}
	if err != nil {
		return nil, fault.As(fault.Unavailable, err)
	}
	w := new(written)
	if err := json.Unmarshal(b, w); err != nil {
		return nil, fault.Errorf(fault.Invalid, "what the engine wrote about container %s: %w", id, err)
	}
	if w.ID != id {
		return nil, fault.Errorf(fault.Untrusted, "the engine's file of container %s speaks of %.80q", id, w.ID)
	}
	if w.Image, err = ref.ParseDigest(string(w.Image)); err != nil {
		return nil, fault.Errorf(fault.Untrusted, "the image of container %s: %w", id, err)
	}
	return w, nil
}

// folder is what the engine keeps for one container.
func (d docker) folder(id string) string { return filepath.Join(d.root, "containers", id) }

func (d docker) volumes() string { return filepath.Join(d.root, "volumes") }

var anonymous = regexp.MustCompile(`^[0-9a-f]{64}$`)

// anonymous returns the volumes without a name that the container was given.
func (w *written) anonymous() []string {
	var all []string
	for _, p := range w.MountPoints {
		if p.Type == "volume" && anonymous.MatchString(p.Name) {
			all = append(all, p.Name)
		}
	}
	return all
}

// chain returns the chain IDs of an image's layers, bottom first, by its config
// as the engine keeps it, whose digest is checked.
func (d docker) chain(config ref.Digest) ([]ref.Digest, error) {
	if config.Algorithm() != digest.SHA256 {
		return nil, fault.Errorf(fault.Untrusted, "image %s: engines use sha256", config)
	}
	files, err := filepath.Glob(filepath.Join(d.root, "image", "*", "imagedb", "content", "sha256", config.Encoded()))
	if err != nil || len(files) == 0 {
		return nil, fault.Errorf(fault.NotFound, "the Docker engine in %q keeps no config of image %s", d.root, config)
	}
	b, err := durable.ReadFile(files[0], maxDocument)
	if err != nil {
		return nil, fault.As(fault.Unavailable, err)
	}
	if digest.FromBytes(b) != config {
		return nil, fault.Errorf(fault.Untrusted, "the engine's config of image %s is not that", config)
	}
	var v struct {
		RootFS struct {
			DiffIDs []ref.Digest `json:"diff_ids"`
		} `json:"rootfs"`
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return nil, fault.Errorf(fault.Invalid, "config of image %s: %w", config, err)
	}
	for _, id := range v.RootFS.DiffIDs {
		if _, err := ref.ParseDigest(string(id)); err != nil {
			return nil, err
		}
	}
	return image.ChainIDs(v.RootFS.DiffIDs), nil
}
