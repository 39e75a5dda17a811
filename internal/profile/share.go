package profile

// Share is what all containers of a team may take together. A field that is 0
// sets no limit of its own; the containers' own limits hold all the same.
type Share struct {
	CPUs    float64 `json:"cpus,omitempty"`    // processors
	Memory  int64   `json:"memory,omitempty"`  // bytes, swap included
	PIDs    int64   `json:"pids,omitempty"`    // processes and threads
	Storage int64   `json:"storage,omitempty"` // bytes that the containers may write to their own roots
}
