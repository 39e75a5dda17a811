package trust

import (
	"context"
	"maps"
	"slices"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// Revoke removes the image d from role's metadata: "sha256/<hex>" and every tag
// that names it, and returns the names that were removed, sorted. NotFound if the
// role does not name it; Usage if d is one platform of another image, which would
// go on naming it.
func (r *Repository) Revoke(ctx context.Context, role string, d ref.Digest) ([]string, error) {
	if d.Algorithm() != "sha256" {
		return nil, fault.Errorf(fault.Invalid, "image %q: only SHA-256 digests are signed", d)
	}
	var removed []string
	err := r.edit(ctx, func(draft *draft) (err error) {
		removed, err = draft.revoke(ctx, role, d)
		return err
	})
	return removed, err
}

func (d *draft) revoke(ctx context.Context, role string, image ref.Digest) ([]string, error) {
	if _, err := d.speaks(role); err != nil {
		return nil, err
	}
	all, err := d.all(ctx, role)
	if err != nil {
		return nil, err
	}
	f := all[digestTarget(image)]
	var names []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if t := all[name]; t.Hashes["sha256"] == image.Encoded() && (name != digestTarget(image) || !f.onlyPlatform()) {
			names = append(names, name)
		}
	}
	if err := d.platformOfAnother(image, all); err != nil {
		return nil, err
	}
	if len(names) == 0 {
		err := fault.Errorf(fault.NotFound, "role %q does not name %s", role, image)
		return nil, fault.Hint(err, "--as ROLE says whose signature is to be taken back")
	}
	for _, name := range names {
		if err := d.remove(ctx, role, name, all[name]); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// remove removes the target f that is called name, and with an image's what its
// platforms are called because of it.
func (d *draft) remove(ctx context.Context, role, name string, f target) error {
	if err := d.drop(ctx, role, name); err != nil {
		return err
	}
	image, err := f.digest("sha256")
	if err != nil || name != digestTarget(image) {
		return nil //nolint:nilerr // a target without a digest is no image's
	}
	for name := range platformTargets(image, f) {
		if err := d.unpoint(ctx, role, name, image); err != nil {
			return err
		}
	}
	return nil
}

// onlyPlatform reports whether t is there because of other images only.
func (t target) onlyPlatform() bool {
	return len(t.images()) > 0 && t.Custom[platformsField] == nil
}

// platformOfAnother returns a Usage error if another image has image as one of
// its platforms: asked by digest, the role would go on naming it.
func (d *draft) platformOfAnother(image ref.Digest, all map[string]target) error {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if other := all[name].Hashes["sha256"]; other != image.Encoded() && all[name].hasPlatform(image) {
			err := fault.Errorf(fault.Usage, "%s is one platform of an image, which would go on naming it", image)
			return fault.Hint(err, "revoke that first: plimsoll trust revoke %s sha256:%s", d.gun, other)
		}
	}
	return nil
}

// drop removes a target.
func (d *draft) drop(ctx context.Context, role, name string) error {
	t, _, err := d.at(ctx, role, name)
	if err != nil {
		return err
	}
	delete(t.Targets, name)
	return nil
}

// unpoint removes image from those that the target called name is a platform of,
// and the target if nothing else is left of it.
func (d *draft) unpoint(ctx context.Context, role, name string, image ref.Digest) error {
	home, err := d.home(ctx, role, name)
	if err != nil {
		return err
	}
	old, err := d.look(ctx, home)
	if err != nil {
		return err
	}
	f, ok := old.Targets[name]
	images := f.images()
	if !ok || !slices.Contains(images, string(image)) {
		return nil
	}
	t, err := d.change(ctx, home)
	if err != nil {
		return err
	}
	left := slices.DeleteFunc(images, func(s string) bool { return s == string(image) })
	if len(left) == 0 && f.onlyPlatform() {
		delete(t.Targets, name)
		return nil
	}
	t.Targets[name] = f.ofImages(left)
	return nil
}
