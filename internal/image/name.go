package image

import (
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
)

// unbuilt are the schemes that are reserved, so that no Hub image is taken for
// what they will mean, and what to do in their place.
var unbuilt = map[string]string{
	"docker":     "docker save -o FILE IMAGE, then docker-archive:FILE; Hub's image of that name is docker.io/library/docker:TAG",
	"containerd": "ctr images export FILE IMAGE, then docker-archive:FILE",
	"dir":        "build an image from it and name that as oci:DIR",
	"file":       "for an archive made by docker save, docker-archive:FILE; for an OCI layout, oci:DIR",
}

// Name is a parsed image name: a registry's reference, or a path.
type Name struct {
	Scheme    Scheme
	Reference ref.Reference // of Registry
	Path      string        // of Layout (a folder) and DockerArchive (a file)
	Tag       string        // of Layout, "" for the only image there
}

// ParseName parses an image name as people write it: "registry/repo:tag@digest",
// "oci:DIR[:TAG]" or "docker-archive:FILE". A known scheme before the first
// colon wins over an image of that name.
func ParseName(s string) (Name, error) {
	scheme, rest, found := strings.Cut(s, ":")
	if hint, reserved := unbuilt[scheme]; reserved && found {
		return Name{}, fault.Hint(fault.Errorf(fault.Usage, "image name %q: %q is not built yet", s, scheme+":"), "%s", hint)
	}
	n := Name{Scheme: Scheme(scheme), Path: rest}
	switch {
	case found && n.Scheme == Layout:
		n.Path, n.Tag = cutTag(rest)
	case found && n.Scheme == DockerArchive:
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

// hintPath adds to err, where s can only be a path, how paths are written.
func hintPath(s string, err error) error {
	if !strings.HasPrefix(s, "/") && !strings.HasPrefix(s, ".") {
		return err
	}
	return fault.Hint(err, "a folder that is an OCI layout is oci:%s, a file that docker save wrote is docker-archive:%s", s, s)
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
