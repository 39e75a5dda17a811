package image

import (
	"runtime"
	"slices"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
)

// ParsePlatform parses "os/architecture[/variant]" (image-spec,
// image-index.md, "platform"). "" is this machine's, as a Linux one: there are
// no other containers here.
func ParsePlatform(s string) (v1.Platform, error) {
	if s == "" {
		return normal(v1.Platform{OS: "linux", Architecture: runtime.GOARCH}), nil
	}
	parts := strings.Split(s, "/")
	if len(parts) < 2 || len(parts) > 3 || slices.Contains(parts, "") {
		return v1.Platform{}, fault.Errorf(fault.Usage, "platform %q: want os/architecture or os/architecture/variant, as in linux/arm64/v8", s)
	}
	p := v1.Platform{OS: parts[0], Architecture: parts[1]}
	if len(parts) == 3 {
		p.Variant = parts[2]
	}
	return normal(p), nil
}

var architectures = map[string]string{"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "i386": "386"}

// normal returns p with the names that Go and the specification use, and
// without the variants that are meant where none is named.
func normal(p v1.Platform) v1.Platform {
	p.OS, p.Architecture, p.Variant = strings.ToLower(p.OS), strings.ToLower(p.Architecture), strings.ToLower(p.Variant)
	if a, ok := architectures[p.Architecture]; ok {
		p.Architecture = a
	}
	switch p.Architecture + "/" + p.Variant {
	case "amd64/v1", "arm64/v8", "arm64/8":
		p.Variant = ""
	case "arm/":
		p.Variant = "v7"
	}
	return p
}

func platformString(p v1.Platform) string {
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// runs returns how well an image for have does on want: 0 if it does not run,
// more the closer it is. Older variants of arm and amd64 run on newer machines.
func runs(want, have v1.Platform) int {
	have = normal(have)
	switch {
	case want.OS != have.OS || want.Architecture != have.Architecture:
		return 0
	case want.Variant == have.Variant:
		return 1000
	case want.Architecture != "arm" && want.Architecture != "amd64":
		return 0
	case level(have.Variant) <= level(want.Variant):
		return 1 + level(have.Variant)
	}
	return 0
}

// level returns the number in a variant: 7 of "v7", 1 of none.
func level(variant string) int {
	if len(variant) != 2 || variant[0] != 'v' || variant[1] < '0' || variant[1] > '9' {
		return 1
	}
	return int(variant[1] - '0')
}

// isAttestation reports whether d is what BuildKit puts beside an image instead
// of an image.
func isAttestation(d v1.Descriptor) bool {
	return (d.Platform != nil && d.Platform.OS == "unknown" && d.Platform.Architecture == "unknown") ||
		d.Annotations["vnd.docker.reference.type"] != ""
}

// choose returns the one manifest for the platform.
func choose(manifests []v1.Descriptor, want v1.Platform) (v1.Descriptor, error) {
	var best []v1.Descriptor
	var have []string
	top := 1
	for _, d := range manifests {
		have = append(have, platformString(normal(*d.Platform)))
		switch n := runs(want, *d.Platform); {
		case n > top:
			best, top = []v1.Descriptor{d}, n
		case n == top && !slices.ContainsFunc(best, func(b v1.Descriptor) bool { return b.Digest == d.Digest }):
			best = append(best, d)
		}
	}
	switch len(best) {
	case 1:
		return best[0], nil
	case 0:
		return v1.Descriptor{}, fault.Errorf(fault.NotFound, "no image for %s; there are %q", platformString(want), have)
	}
	err := fault.Errorf(fault.Invalid, "%d images for %s, of which engines choose differently", len(best), platformString(want))
	return v1.Descriptor{}, fault.Hint(err, "name one by its digest: %s or %s", best[0].Digest, best[1].Digest)
}
