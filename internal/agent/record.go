package agent

import (
	"slices"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/ref"
)

// Container is what is remembered of a container.
type Container struct {
	ID       string     `json:"id"` // the engine's
	Name     string     `json:"name,omitempty"`
	Team     string     `json:"team"`
	Caller   string     `json:"caller,omitempty"`
	Decision string     `json:"decision"`        // ID of the one that let it be made
	Image    string     `json:"image,omitempty"` // as it was asked for, normalised
	Config   ref.Digest `json:"config"`          // the engine's image ID
	Volumes  []string   `json:"volumes,omitempty"`
	Made     time.Time  `json:"made"`

	Seen Seen `json:"seen"`
	// Project is its number for storage quotas, 0 until it needs one.
	// Storage is what it may write, in bytes, if that is counted, and Layers the
	// folder in which the engine keeps its layer.
	Project uint32 `json:"project,omitempty"`
	Storage int64  `json:"storage,omitempty"`
	Layers  string `json:"layers,omitempty"`
}

// Seen is when evidence was last looked at that lets a container run.
type Seen struct {
	Decision string     `json:"decision"`
	Time     time.Time  `json:"time"`
	Until    time.Time  `json:"until,omitzero"` // when the evidence expires; zero: never
	Policy   ref.Digest `json:"policy"`
	Digest   ref.Digest `json:"digest,omitempty"`
	Manifest ref.Digest `json:"manifest,omitempty"`
	GUN      ref.GUN    `json:"gun,omitempty"`
}

// holds reports whether what was seen may be repeated at now under policy.
func (s *Seen) holds(now time.Time, cache time.Duration, policy ref.Digest) bool {
	return s.Decision != "" && s.Policy == policy && !now.Before(s.Time) && now.Before(s.Time.Add(cache)) &&
		(s.Until.IsZero() || now.Before(s.Until))
}

// Image is what is remembered of an engine's image.
type Image struct {
	Config ref.Digest `json:"config"` // the engine's image ID
	// Names are the repositories that it was pulled from, the newest first.
	Names []Name `json:"names,omitempty"`
	// Chain is the chain ID of its layers, "" if it is not known.
	Chain ref.Digest `json:"chain,omitempty"`
	// Kept says that its manifest and config are kept beside this.
	Kept bool      `json:"kept,omitempty"`
	Made time.Time `json:"made"` // when it was first remembered
}

// Name is an image in a repository.
type Name struct {
	Repository string        `json:"repository"` // as it was asked for, before mirrors
	Top        v1.Descriptor `json:"top"`        // of the index or manifest; without size and type if only the digest is known
}

// maxNames bounds the names of one image.
const maxNames = 16

// add puts a name first, and reports whether anything changed.
func (m *Image) add(n Name) bool {
	i := slices.IndexFunc(m.Names, func(o Name) bool { return o.Repository == n.Repository && o.Top.Digest == n.Top.Digest })
	if i >= 0 {
		if n.Top.MediaType == "" {
			n = m.Names[i]
		}
		if i == 0 && n.Top.MediaType == m.Names[0].Top.MediaType {
			return false
		}
		m.Names = slices.Delete(slices.Clone(m.Names), i, i+1)
	}
	m.Names = append([]Name{n}, m.Names...)
	m.Names = m.Names[:min(len(m.Names), maxNames)]
	return true
}

// thing is whose something else is.
type thing struct {
	Kind string    `json:"kind"`
	Name string    `json:"name"`
	Team string    `json:"team"`
	Made time.Time `json:"made,omitzero"`
}

// Kinds of things that this package knows; all but the first only it claims.
const (
	kindExec    = "exec"    // a process that somebody runs in a container, by the engine's ID
	kindJoin    = "join"    // "HOLDER JOINER": JOINER runs with HOLDER's IDs
	kindEnded   = "ended"   // a holder that is gone and whose IDs others still have
	kindProject = "project" // a team's number for storage quotas; the name is the team's
	kindLeft    = "left"    // the name is the number for quotas of a container that is gone
)
