package envelope

import (
	"context"
	"fmt"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

const (
	maxAsked  = 1000 // manifests that are asked what they are, where the list does not say
	maxLooked = 100  // files of the kind that is searched for
	maxSaid   = 3    // problems that are told
)

// search is the error of a search that found nothing good: what was looked at,
// and what was wrong with each.
type search struct {
	kind     string // "cosign signature", "notation signature"
	about    ref.Digest
	problems []error
}

// Error implements error.
func (s *search) Error() string {
	if len(s.problems) == 0 {
		return fmt.Sprintf("no %s of %s is in the registry", s.kind, s.about)
	}
	var said []string
	for _, p := range s.problems[:min(len(s.problems), maxSaid)] {
		said = append(said, p.Error())
	}
	if more := len(s.problems) - len(said); more > 0 {
		said = append(said, fmt.Sprintf("and %d more", more))
	}
	return fmt.Sprintf("no good %s of %s: %s", s.kind, s.about, strings.Join(said, "; "))
}

// result returns s with its kind: NotFound if there is nothing, Unavailable if
// something could not be looked at, otherwise Untrusted. Hints of what was
// wrong are kept.
func (s *search) result() error {
	if len(s.problems) == 0 {
		return fault.As(fault.NotFound, s)
	}
	kind, hint := fault.Untrusted, ""
	for _, p := range s.problems {
		if k := fault.KindOf(p); k != fault.Untrusted && k != fault.Invalid && k != fault.NotFound {
			kind = fault.Unavailable
		}
		if hint == "" {
			hint = fault.HintOf(p)
		}
	}
	err := fault.As(kind, s)
	if hint != "" {
		return fault.Hint(err, "%s", hint)
	}
	return err
}

// kindOf says which referrers a search is for: artifact reports whether one of
// that type is, and other, unless it is nil, whether annotations say that it is
// something else after all.
type kindOf struct {
	name     string
	artifact func(artifactType string) bool
	other    func(annotations map[string]string) bool
	limit    int64 // bytes of the file
}

// listed reports whether a list's entry may be one that the search is for. The
// annotations on a list are those of the manifest; who could change them there
// could as well take the entry off it.
func (k kindOf) listed(d v1.Descriptor) bool {
	return untold(d.ArtifactType) || k.artifact(d.ArtifactType) && !k.isOther(d.Annotations)
}

func (k kindOf) isOther(annotations map[string]string) bool {
	return k.other != nil && k.other(annotations)
}

// each calls look with the file of every referrer of d that is of the kind, until
// look says that it is done. What is wrong with single ones, or could not be had,
// becomes a problem of the search; the error is for the list as a whole.
func (r *Reader) each(ctx context.Context, gun ref.GUN, d ref.Digest, k kindOf, look func(m *v1.Manifest, content []byte) (done bool, err error)) (*search, error) {
	s := &search{kind: k.name, about: d}
	all, err := r.Registry.Referrers(ctx, gun.Reference().WithDigest(d), "")
	if err != nil {
		return nil, couldNot(err)
	}
	asked, looked := 0, 0
	for _, one := range all {
		if !k.listed(one) {
			continue
		}
		if asked++; asked > maxAsked {
			return s.more(maxAsked), nil
		}
		m, err := r.Registry.ArtifactManifest(ctx, gun, d, one)
		if err == nil && (!k.artifact(m.ArtifactType) || k.isOther(m.Annotations)) {
			continue
		}
		if looked++; looked > maxLooked {
			return s.more(maxLooked), nil
		}
		done := false
		if err == nil {
			done, err = r.look(ctx, gun, m, k.limit, look)
		}
		if ctx.Err() != nil {
			return nil, fault.As(fault.Unavailable, ctx.Err())
		}
		if err != nil {
			s.problems = append(s.problems, err)
		}
		if done {
			return nil, nil
		}
	}
	return s, nil
}

// more says that not everything was looked at.
func (s *search) more(than int) *search {
	s.problems = append(s.problems, fault.Errorf(fault.Unavailable, "there are more than %d", than))
	return s
}

func (r *Reader) look(ctx context.Context, gun ref.GUN, m *v1.Manifest, limit int64, look func(*v1.Manifest, []byte) (bool, error)) (bool, error) {
	content, err := r.Registry.ArtifactContent(ctx, gun, m, limit)
	if err != nil {
		return false, err
	}
	return look(m, content)
}

// untold reports whether a list says nothing about what an artifact is, so that
// its manifest must be asked.
func untold(artifactType string) bool {
	return artifactType == "" || artifactType == v1.MediaTypeEmptyJSON
}

// couldNot makes sure that a list which could not be read is not taken for one
// with nothing on it.
func couldNot(err error) error {
	if fault.Is(err, fault.Invalid) || fault.Is(err, fault.NotFound) {
		return fault.As(fault.Unavailable, err)
	}
	return err
}
