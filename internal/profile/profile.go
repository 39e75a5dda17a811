// Package profile is what a team's container gets: its share of compute,
// memory, storage and network, and the few privileges it keeps. Whatever is not
// in the profile is not granted.
//
// Amounts are plain numbers in the unit that the field's comment names; the
// policy's spelling ("1GiB") is parsed by [ParseBytes] before it gets here.
package profile

// Profile is the share and the privileges of one container.
type Profile struct {
	CPUs         float64  `json:"cpus"`               // processors; 0: none was granted, refused
	Memory       int64    `json:"memory"`             // bytes, swap included
	PIDs         int64    `json:"pids"`               // processes and threads
	IOWeight     int      `json:"ioWeight,omitempty"` // 1–1000, 0: the kernel's default
	Storage      int64    `json:"storage,omitempty"`  // bytes the container may write to its own root, 0: no limit set
	Network      Network  `json:"network"`
	Capabilities []string `json:"capabilities,omitempty"` // names without CAP_, sorted; nothing else is kept
	Mounts       []Mount  `json:"mounts,omitempty"`       // host folders that may be asked for
	SetuidFiles  bool     `json:"setuidFiles"`            // may create files with the setuid or setgid bit
	ReadOnly     bool     `json:"readOnly,omitempty"`     // the container's root cannot be written
	Devices      []string `json:"devices,omitempty"`
	Runtime      string   `json:"runtime"` // name of the OCI runtime: "runc"
	Host         bool     `json:"host,omitempty"`
	Total        Share    `json:"total,omitzero"` // of all containers of the team together
}

// Network is the network that a container may use.
type Network struct {
	Mode    string   `json:"mode"` // "none" or "bridge"
	Publish []string `json:"publish,omitempty"`
	Egress  []string `json:"egress,omitempty"`
}

// Mount is a host path that the profile allows to be mounted: the path may end
// in "/**", which covers everything below it.
type Mount struct {
	Path     string `json:"path"`
	Writable bool   `json:"writable"`
}
