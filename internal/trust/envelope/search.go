package envelope

import (
	"context"
	"errors"
	"fmt"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// maxLooked bounds how many artifacts of a kind are looked at, and maxSaid how
// many of their problems are told.
const (
	maxLooked = 100
	maxSaid   = 3
)

// Search is the error of a search that found nothing good: what was looked at,
// and what was wrong with each.
type Search struct {
	kind     string // "cosign signature", "notation signature"
	about    ref.Digest
	problems []error
	cut      bool // there were more than are looked at
}

func asSearch(err error, to **Search) bool { return errors.As(err, to) }

// Error implements error.
func (s *Search) Error() string {
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
func (s *Search) result() error {
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
// that type is, and skip, unless it is nil, whether its manifest says that it is
// something else after all.
type kindOf struct {
	name     string
	artifact func(artifactType string) bool
	skip     func(*v1.Manifest) bool
	limit    int64 // bytes of the file
}

// each calls look with the file of every referrer of d that is of the kind, until
// look says that it is done. What is wrong with single ones, or could not be had,
// becomes a problem of the search; the error is for the list as a whole.
func (r *Reader) each(ctx context.Context, gun ref.GUN, d ref.Digest, k kindOf, look func(m *v1.Manifest, content []byte) (done bool, err error)) (*Search, error) {
	s := &Search{kind: k.name, about: d}
	all, err := r.Registry.Referrers(ctx, gun.Reference().WithDigest(d), "")
	if err != nil {
		return nil, couldNot(err)
	}
	looked := 0
	for _, one := range all {
		if !k.artifact(one.ArtifactType) && !untold(one.ArtifactType) {
			continue
		}
		if looked++; looked > maxLooked {
			s.cut = true
			s.problems = append(s.problems, fault.Errorf(fault.Unavailable, "there are more than %d", maxLooked))
			return s, nil
		}
		done, err := r.one(ctx, gun, d, k, one, look)
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

func (r *Reader) one(ctx context.Context, gun ref.GUN, d ref.Digest, k kindOf, one v1.Descriptor, look func(*v1.Manifest, []byte) (bool, error)) (bool, error) {
	m, err := r.Registry.ArtifactManifest(ctx, gun, d, one)
	if err != nil {
		return false, err
	}
	if !k.artifact(m.ArtifactType) || k.skip != nil && k.skip(m) {
		return false, nil
	}
	content, err := r.Registry.ArtifactContent(ctx, gun, m, k.limit)
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
