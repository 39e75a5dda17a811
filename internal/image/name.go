package image

import (
	"regexp"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// Scheme says where an image lies.
type Scheme string

// The schemes of image names.
const (
	Registry      Scheme = "registry" // no prefix: "registry.example.com/team/app:1"
	Layout        Scheme = "oci"
	DockerArchive Scheme = "docker-archive"
	Engine        Scheme = "docker"     // the store of a Docker engine
	Containerd    Scheme = "containerd" // the store of containerd
	Folder        Scheme = "dir"        // a root file system
	SingleFile    Scheme = "file"
)

// Name is a parsed image name: a registry's reference, or a path.
type Name struct {
	Scheme    Scheme
	Reference ref.Reference // of Registry
	Path      string        // of Layout and Folder (a folder), DockerArchive and SingleFile (a file); of Engine and Containerd the name there
	Tag       string        // of Layout, "" for the only image there
}

// ParseName parses an image name as people write it: "registry/repo:tag@digest",
// "oci:DIR[:TAG]", "docker-archive:FILE", "docker:NAME", "containerd:NAME",
// "dir:DIR" or "file:FILE". A known scheme before the first colon wins over an
// image of that name: Hub's is "docker.io/library/docker:24".
func ParseName(s string) (Name, error) {
	scheme, rest, found := strings.Cut(s, ":")
	n := Name{Scheme: Scheme(scheme), Path: rest}
	switch {
	case found && n.Scheme == Layout:
		n.Path, n.Tag = cutTag(rest)
	case found && (n.Scheme == Engine || n.Scheme == Containerd):
		if err := checkStored(n); err != nil {
			return Name{}, err
		}
	case found && (n.Scheme == DockerArchive || n.Scheme == Folder || n.Scheme == SingleFile):
	default:
		r, err := ref.Parse(s)
		if err != nil {
			return Name{}, hintPath(s, fault.As(fault.Usage, err))
		}
		return Name{Scheme: Registry, Reference: r}, nil
	}
	if n.Path == "" || strings.ContainsRune(s, 0) {
		return Name{}, fault.Errorf(fault.Usage, "image name %q: a path must follow %q", s, scheme+":")
	}
	return n, nil
}

// storedName is what images are called in the stores of engines: references, or
// the engine's IDs of them, short or whole.
var storedName = regexp.MustCompile(`^[A-Za-z0-9]+([._/:@-]+[A-Za-z0-9_]+)*$`)

func checkStored(n Name) error {
	if storedName.MatchString(n.Path) && !strings.Contains(n.Path, "..") && !strings.Contains(n.Path, "//") {
		return nil
	}
	err := fault.Errorf(fault.Usage, "image name %q: %q is no name in a store of images", n.String(), n.Path)
	return fault.Hint(err, "%s:NAME:TAG or %s:ID; Hub's image of that name is docker.io/library/%s:TAG", n.Scheme, n.Scheme, n.Scheme)
}

// hintPath adds to err, where s can only be a path, how paths are written.
func hintPath(s string, err error) error {
	if !strings.HasPrefix(s, "/") && !strings.HasPrefix(s, ".") {
		return err
	}
	return fault.Hint(err, "an OCI layout is oci:%s, a file that docker save wrote docker-archive:%s, a root file system dir:%s, any other file file:%s", s, s, s, s)
}

// cutTag splits "DIR:TAG" at the last colon that no slash follows.
func cutTag(s string) (dir, tag string) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || strings.ContainsRune(s[i:], '/') {
		return s, ""
	}
	return s[:i], s[i+1:]
}

// String returns the name as it is written.
func (n Name) String() string {
	switch {
	case n.Scheme == Registry:
		return n.Reference.String()
	case n.Tag != "":
		return string(n.Scheme) + ":" + n.Path + ":" + n.Tag
	}
	return string(n.Scheme) + ":" + n.Path
}
