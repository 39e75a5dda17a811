// Package pack keeps advisories where they can be asked for: one immutable
// SQLite file for each ecosystem and release, addressed by its digest, and an
// index that names the current ones.
//
//	<folder>/index.json        the current packs, replaced as a whole
//	<folder>/<sha256>.db       a pack; equal records give equal bytes
//	<folder>/lock              held while packs are being built
//
// A pack is hashed whenever it is opened, so that a file that rotted or was
// changed is found before anything in it is believed; at the size of packs that
// costs milliseconds. It holds, for each package, the records that speak of it.
// Overlays (known exploited vulnerabilities, severities) are packs too, whose
// packages are CVEs.
package pack

import (
	"time"

	"plimsoll/internal/advisory"
	"plimsoll/internal/ref"
)

// Source is where records came from.
type Source struct {
	Name        string    `json:"name"`
	URL         string    `json:"url,omitempty"`
	Revision    string    `json:"revision,omitempty"` // commit or version of the upstream
	Licence     string    `json:"licence"`            // SPDX identifier, or words
	Attribution string    `json:"attribution,omitempty"`
	AsOf        time.Time `json:"asOf"` // the upstream's state of that time, by which age is judged
	Records     int       `json:"records"`
}

// Info describes a pack.
type Info struct {
	Ecosystem advisory.Ecosystem `json:"ecosystem"`
	Digest    ref.Digest         `json:"digest"`
	Size      int64              `json:"size"` // bytes
	Records   int                `json:"records"`
	Packages  int                `json:"packages"`
	AsOf      time.Time          `json:"asOf"` // of the oldest source
	Sources   []Source           `json:"sources"`
}
