package inventory

import (
	"unicode/utf8"

	"plimsoll/internal/ref"
)

// Facts is all that one layer contributes to an inventory. It depends on the
// layer's bytes and on nothing else, so that it can be kept and used again in
// every image that has the layer.
type Facts struct {
	Digest ref.Digest `json:"digest"` // of the blob, compressed as it came
	DiffID ref.Digest `json:"diffId"` // of the plain tar, computed by us
	Size   int64      `json:"size"`   // of the plain tar, bytes

	Files   []File   `json:"files,omitempty"`   // in the order of the layer; of two with one path the later counts
	Removed []string `json:"removed,omitempty"` // paths with a whiteout
	Opaque  []string `json:"opaque,omitempty"`  // directories whose lower content is hidden
	Paths   Paths    `json:"paths,omitempty"`   // everything else that the layer writes

	Unreadable []Unreadable `json:"unreadable,omitempty"` // without Layer and Index
}

// File is a path of a layer that something is known about.
type File struct {
	Path     string  `json:"path"`
	Symlink  string  `json:"symlink,omitempty"`  // target as written
	Hardlink string  `json:"hardlink,omitempty"` // path of what it is another name of
	Found    []Found `json:"found,omitempty"`
	// Program is set if the file can run.
	Program *Program `json:"program,omitempty"`
	// Wanted names the extractors that would read a hard link's content because
	// of its name and could not, because it lies in another layer.
	Wanted []string `json:"wanted,omitempty"`
}

// Found is what one extractor recognised in one file.
type Found struct {
	Method     string      `json:"method,omitempty"` // name of the extractor, filled in by its caller
	Components []Component `json:"components,omitempty"`
	Owned      []Owned     `json:"owned,omitempty"`
	Distro     *Distro     `json:"distro,omitempty"`
	Terms      []Terms     `json:"terms,omitempty"`
	Secrets    []Secret    `json:"secrets,omitempty"`
	Claimed    []Claim     `json:"claimed,omitempty"` // what an SBOM says of the files of Components
	// BuildID is what the linker gave the file as its identity (GNU build ID), in
	// hexadecimal digits.
	BuildID string `json:"-"` // kept with the file's Program
	// Unless is a directory: the components count only if nothing was recognised
	// below it. A lock file says what somebody meant to install; the folder next
	// to it says what is there.
	Unless string `json:"unless,omitempty"`
}

// Owned says that a package brought a file.
type Owned struct {
	Path    string `json:"path"`    // without a leading slash; with one at its end: every script below the folder
	Package string `json:"package"` // its name in the package database
	Type    Type   `json:"type"`    // of the package: Deb, Apk, RPM, …
	// Sum is what the record says of the content: "md5:", "sha1:" or "sha256:"
	// and lower-case hexadecimal digits; "" if it says nothing.
	Sum string `json:"sum,omitempty"`
}

// Terms are the licences of a package that something beside the package
// database states.
type Terms struct {
	Package  string   `json:"package"`
	Type     Type     `json:"type"`
	Licences []string `json:"licences"`
}

// Empty reports whether nothing was found.
func (f *Found) Empty() bool {
	return len(f.Components) == 0 && len(f.Owned) == 0 && f.Distro == nil && len(f.Terms) == 0 && len(f.Secrets) == 0 && len(f.Claimed) == 0
}

// Lasting reports whether the facts may be kept: the layer was read completely,
// and JSON carries every name in it without loss.
func (f *Facts) Lasting() bool {
	if len(f.Unreadable) > 0 {
		return false
	}
	for i := range f.Files {
		if !utf8.ValidString(f.Files[i].Path) || !utf8.ValidString(f.Files[i].Hardlink) || !utf8.ValidString(f.Files[i].Symlink) {
			return false
		}
	}
	for _, list := range [][]string{f.Removed, f.Opaque} {
		for _, p := range list {
			if !utf8.ValidString(p) {
				return false
			}
		}
	}
	return true
}

// Weight returns about how many bytes of memory the facts take.
func (f *Facts) Weight() int64 {
	n := int64(len(f.Paths))
	for _, list := range [][]string{f.Removed, f.Opaque} {
		for _, p := range list {
			n += int64(len(p)) + 16
		}
	}
	for i := range f.Files {
		n += f.Files[i].Weight()
	}
	for i := range f.Unreadable {
		n += int64(len(f.Unreadable[i].Path)+len(f.Unreadable[i].Reason)) + 120
	}
	return n
}

// Weight returns about how many bytes of memory the file's facts take.
func (f *File) Weight() int64 {
	n := len(f.Path) + len(f.Symlink) + len(f.Hardlink) + 160
	if f.Program != nil {
		n += 256
	}
	for i := range f.Found {
		n += 120
		for k := range f.Found[i].Components {
			c := &f.Found[i].Components[k]
			n += 300 + len(c.Namespace) + len(c.Name) + len(c.Version) + len(c.Arch) + len(c.SourceName) + len(c.SourceVersion) + len(c.Module) + len(c.Vendor) + len(c.CPE)
			for _, l := range c.Licences {
				n += len(l)
			}
		}
		for k := range f.Found[i].Owned {
			o := &f.Found[i].Owned[k]
			n += 72 + len(o.Path) + len(o.Sum)
		}
		n += 256 * len(f.Found[i].Secrets)
		for k := range f.Found[i].Claimed {
			n += 300
			for j := range f.Found[i].Claimed[k].Files {
				n += 72 + len(f.Found[i].Claimed[k].Files[j].Path) + len(f.Found[i].Claimed[k].Files[j].Sum)
			}
		}
		for k := range f.Found[i].Terms {
			n += 80
			for _, l := range f.Found[i].Terms[k].Licences {
				n += 16 + len(l)
			}
		}
	}
	return int64(n)
}
