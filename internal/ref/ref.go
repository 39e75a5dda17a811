// Package ref names images: references, digests, globally unique names (GUNs),
// and the patterns and mirrors that a policy writes about them.
//
// Every name is normalised once, when it is parsed: a lower-case host, docker.io
// and library/ filled in as Docker does, the port kept only if it is not 443. So
// two spellings of one repository are one value, and comparing values is enough.
package ref

import (
	"fmt"
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"plimsoll/internal/fault"
)

// Digest is a content address such as "sha256:9c41…" (OCI image-spec,
// descriptor.md, "Digests").
type Digest = digest.Digest

// ParseDigest returns s as a digest. Only sha256 and sha512 are taken.
func ParseDigest(s string) (Digest, error) {
	d, err := digest.Parse(s)
	if err != nil {
		return "", fault.Errorf(fault.Invalid, "digest %q: %w", s, err)
	}
	if a := d.Algorithm(); a != digest.SHA256 && a != digest.SHA512 {
		return "", fault.Errorf(fault.Invalid, "digest %q: algorithm %q is not supported", s, a)
	}
	return d, nil
}

// GUN is the globally unique name of a repository: host, port unless 443, and
// path, without tag. One trust collection speaks for one GUN.
type GUN string

// Reference is a parsed image name. Tag and Digest may each be empty; both may
// be set. The zero Reference names nothing.
type Reference struct {
	Host string // lower case, with the port unless it is 443: "docker.io", "localhost:5000"
	Path string // "library/debian", "team/app"
	Tag  string
	Digest
}

// Parse returns the normalised reference that s names, "repo[:tag][@digest]".
// A name with neither tag nor digest gets the tag "latest", as Docker does.
func Parse(s string) (Reference, error) {
	named, err := reference.ParseNormalizedNamed(s)
	if err != nil {
		return Reference{}, fault.Errorf(fault.Invalid, "image name %q: %w", s, err)
	}
	r, err := repository(named)
	if err != nil {
		return Reference{}, fault.Errorf(fault.Invalid, "image name %q: %w", s, err)
	}
	if t, ok := named.(reference.Tagged); ok {
		r.Tag = t.Tag()
	}
	if d, ok := named.(reference.Digested); ok {
		if r.Digest, err = ParseDigest(d.Digest().String()); err != nil {
			return Reference{}, err
		}
	}
	if r.Tag == "" && r.Digest == "" {
		r.Tag = "latest"
	}
	return r, nil
}

// ParseGUN returns the GUN that s names; a tag or digest is an error.
func ParseGUN(s string) (GUN, error) {
	named, err := reference.ParseNormalizedNamed(s)
	if err != nil {
		return "", fault.Errorf(fault.Invalid, "repository name %q: %w", s, err)
	}
	if !reference.IsNameOnly(named) {
		return "", fault.Errorf(fault.Invalid, "repository name %q: a tag or digest does not belong here", s)
	}
	r, err := repository(named)
	if err != nil {
		return "", fault.Errorf(fault.Invalid, "repository name %q: %w", s, err)
	}
	return r.GUN(), nil
}

// repository returns the repository of a name, with its host in lower case and
// without the port 443.
//
// The outcome reads as itself again. Docker takes the first part of a name for
// a host by its dot, its port or its capital letters, and gives docker.io rules
// of its own: without care "Team/app" and "team:443/app" would become
// docker.io/team/app, and "Docker.io/debian" something beside the official one.
func repository(named reference.Named) (Reference, error) {
	host := strings.ToLower(reference.Domain(named))
	if bare, ok := strings.CutSuffix(host, ":443"); ok && readsAsHost(bare) {
		host = bare
	}
	if !readsAsHost(host) {
		return Reference{}, fmt.Errorf("%q names no host without a dot or a port, and a path is in lower case", host)
	}
	again, err := reference.ParseNormalizedNamed(host + "/" + reference.Path(named))
	if err != nil {
		return Reference{}, err
	}
	return Reference{Host: reference.Domain(again), Path: reference.Path(again)}, nil
}

func readsAsHost(s string) bool {
	return s == "localhost" || strings.ContainsAny(s, ".:")
}

// GUN returns the repository's globally unique name.
func (r Reference) GUN() GUN { return GUN(r.Host + "/" + r.Path) }

// Reference returns the repository as a reference without tag and digest.
func (g GUN) Reference() Reference {
	host, path, _ := strings.Cut(string(g), "/")
	return Reference{Host: host, Path: path}
}

// WithTag returns the repository's reference by tag alone.
func (r Reference) WithTag(tag string) Reference {
	return Reference{Host: r.Host, Path: r.Path, Tag: tag}
}

// WithDigest returns the repository's reference by digest alone.
func (r Reference) WithDigest(d Digest) Reference {
	return Reference{Host: r.Host, Path: r.Path, Digest: d}
}

// IsZero reports whether r names nothing.
func (r Reference) IsZero() bool { return r == Reference{} }

// String returns the full name, "host/path[:tag][@digest]".
func (r Reference) String() string {
	if r.IsZero() {
		return ""
	}
	s := string(r.GUN())
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + string(r.Digest)
	}
	return s
}
