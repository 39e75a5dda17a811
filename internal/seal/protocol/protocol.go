// Package protocol is what the runtime and the guard say to each other: the
// runtime asks before a container or a process in one comes to be, the guard
// answers with what it may have.
//
// There is one question for each connection to a unix socket that only root can
// reach. A message is its length in bytes, four of them, the highest first, and
// that much JSON. A message that is longer than [MaxMessage], of another
// [Version], or has unknown fields, is refused; whoever gets no answer in time
// takes it for a refusal.
package protocol

import (
	"plimsoll/internal/fault"
	"plimsoll/internal/idmap"
	"plimsoll/internal/profile"
)

// Version of the messages. Runtime and guard are installed together: another
// version means that one of them was not.
const Version = 1

// MaxMessage bounds a message, in bytes.
const MaxMessage = 1 << 20

// Verb says what the runtime is about to do.
type Verb string

// The verbs. Every other call of a runtime takes nothing that was not granted.
const (
	Create  Verb = "create"  // make a container (create, run)
	Restore Verb = "restore" // make one from a checkpoint
	Deleted Verb = "deleted" // a container is gone: nothing of it runs any more
)

// Question is what the runtime asks.
type Question struct {
	Version     int               `json:"version"`
	Verb        Verb              `json:"verb"`
	ID          string            `json:"id"`                    // of the container, as the engine calls it
	State       string            `json:"state"`                 // the runtime's --root: which engine asks, and which of its namespaces
	Bundle      string            `json:"bundle,omitempty"`      // folder of config.json
	Cgroup      string            `json:"cgroup,omitempty"`      // linux.cgroupsPath as the engine wrote it
	Annotations map[string]string `json:"annotations,omitempty"` // of the spec: CRI says here what runs
	Layers      []string          `json:"layers,omitempty"`      // folders of the overlay's lower layers, top first
	Upper       string            `json:"upper,omitempty"`       // folder of its writable layer
	Joins       []string          `json:"joins,omitempty"`       // IDs of sealed containers whose namespaces it would share
}

// Answer is what the guard says. Without a Grant it is a refusal.
type Answer struct {
	Version int        `json:"version"`
	Grant   *Grant     `json:"grant,omitempty"`
	Kind    fault.Kind `json:"kind,omitempty"` // of a refusal
	Error   string     `json:"error,omitempty"`
	Hint    string     `json:"hint,omitempty"`
}

// Grant is what one container may have. The runtime keeps it for the container's
// life, so that processes which join later get the same.
type Grant struct {
	Team     string          `json:"team"`
	Decision string          `json:"decision"` // ID of the decision in the audit log
	Profile  profile.Profile `json:"profile"`
	IDs      idmap.Range     `json:"ids"`  // on the host, that the container's IDs stand for
	Disk     idmap.Range     `json:"disk"` // on the host's disks, that its team's files belong to

	// Project is the container's number for storage quotas, 0 if its storage is
	// not limited; TeamProject that of its team's volumes.
	Project     uint32 `json:"project,omitempty"`
	TeamProject uint32 `json:"teamProject,omitempty"`
	// Volumes bounds what the team's volumes may hold together, in bytes: what its
	// containers leave of Profile.Total.Storage; 0: no limit. Of two such bounds the
	// one with the higher Turn is the newer.
	Volumes int64  `json:"volumes,omitempty"`
	Turn    uint64 `json:"turn,omitempty"`

	// Own are folders that the engine keeps for this container: what is mounted
	// from them is the engine's and keeps its IDs. VolumeRoots hold one folder for
	// each named volume, in which data lies under "_data".
	Own         []string `json:"own,omitempty"`
	VolumeRoots []string `json:"volumeRoots,omitempty"`
	// Volume names that this container may mount.
	VolumeNames []string `json:"volumeNames,omitempty"`

	// Egress are the addresses of Profile.Network.Egress, names resolved:
	// "10.0.0.0/8:5432", "[2001:db8::1]/128:443". Resolvers are the name servers
	// that may be asked; they are empty if no destination has a name.
	Egress    []string `json:"egress,omitempty"`
	Resolvers []string `json:"resolvers,omitempty"`

	// Protected are paths that no container may mount, beside those that never
	// may be.
	Protected []string `json:"protected,omitempty"`
}
