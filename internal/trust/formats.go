package trust

import (
	"context"
	"maps"
	"regexp"
	"slices"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// formatsField is a field of ours in the top-level targets: the formats in
// which images are signed besides TUF. It is signed, so that every publisher of
// the repository writes the same and nobody else changes it.
const formatsField = "x-plimsoll-formats"

const maxFormats = 8

var formatName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// SetFormats says in which formats images are signed from now on, besides TUF;
// none is an empty list. Top-level targets keys must be held here.
func (r *Repository) SetFormats(ctx context.Context, formats []string) error {
	for i, f := range formats {
		if !formatName.MatchString(f) || slices.Index(formats, f) != i || len(formats) > maxFormats {
			return fault.Errorf(fault.Usage, "formats %q: each is named once, at most %d", formats, maxFormats)
		}
	}
	return r.edit(ctx, func(d *draft) error {
		d.top.rest = maps.Clone(d.top.rest)
		if d.top.rest == nil {
			d.top.rest = map[string]any{}
		}
		if delete(d.top.rest, formatsField); len(formats) > 0 {
			list := make([]any, 0, len(formats))
			for _, f := range formats {
				list = append(list, f)
			}
			d.top.rest[formatsField] = list
		}
		d.signed[RoleTargets] = d.top
		return nil
	})
}

// Formats returns the formats in which images are signed besides TUF, in the
// publisher's order. Untrusted if the field cannot be read.
func (t *Trusted) Formats() ([]string, error) {
	v, ok := t.targets.Signed.rest[formatsField]
	if !ok {
		return nil, nil
	}
	list, ok := v.([]any)
	if !ok || len(list) > maxFormats {
		return nil, fault.Errorf(fault.Untrusted, "%s metadata: the field %q is no short list", RoleTargets, formatsField)
	}
	var formats []string
	for _, v := range list {
		f, ok := v.(string)
		if !ok || !formatName.MatchString(f) {
			return nil, fault.Errorf(fault.Untrusted, "%s metadata: the field %q holds something that is no format", RoleTargets, formatsField)
		}
		formats = append(formats, f)
	}
	return formats, nil
}

// Speaker is a role that may speak about images, with the keys that speak for
// it.
type Speaker struct {
	Role      string
	Threshold int
	Keys      []*Key // distinct
}

// Speakers returns the roles that may speak about images, the most trusted
// first: targets, and those that it delegates to directly (see
// [Trusted.Statement]).
func (t *Trusted) Speakers() []Speaker {
	all := []Speaker{t.top().speaker()}
	d := t.targets.Signed.Delegations
	if d == nil {
		return all
	}
	for i := range d.Roles {
		if r := &d.Roles[i]; !d.isOwnGroup(t.top(), r.Name) {
			all = append(all, step{name: r.Name, keys: d.Keys, need: r.keyRole}.speaker())
		}
	}
	return all
}

// SpeakersFor returns those of the roles that may speak about the image that r
// names: a role that was given some names has no say about others.
func (t *Trusted) SpeakersFor(r ref.Reference) ([]Speaker, error) {
	asked, err := t.asked(targetName(r))
	var all []Speaker
	for _, s := range asked {
		all = append(all, s.speaker())
	}
	return all, err
}

func (s step) speaker() Speaker { return Speaker{s.name, s.need.Threshold, s.need.of(s.keys)} }
