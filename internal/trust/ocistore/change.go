package ocistore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/oci"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
)

// Begin implements [trust.Store].
func (s *Store) Begin(ctx context.Context, gun ref.GUN) (trust.Change, error) {
	claim, err := s.claim(ctx, gun)
	if err != nil {
		return nil, fmt.Errorf("claim trust data of %q: %w", gun, err)
	}
	c := &change{store: s, gun: gun, claim: claim}
	base, err := s.load(ctx, gun, Tag)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil, errors.Join(err, c.Close(context.WithoutCancel(ctx)))
	}
	c.base = base
	return c, nil
}

// change is one attempt to replace a collection.
type change struct {
	store *Store
	gun   ref.GUN
	base  *collection // nil if there is none yet
	claim *claim      // nil where the registry knows conditional requests
}

// Base implements [trust.Change].
func (c *change) Base() trust.Collection {
	if c.base == nil {
		return nil
	}
	return c.base
}

// Commit implements [trust.Change].
func (c *change) Commit(ctx context.Context, u trust.Update) error {
	files := map[string]v1.Descriptor{}
	if c.base != nil {
		maps.Copy(files, c.base.files)
	}
	if from, ok := u.From.(*collection); ok {
		files = maps.Clone(from.files)
	}
	for _, name := range u.Drop {
		delete(files, name)
	}
	for name, b := range u.Put {
		d := v1.Descriptor{MediaType: FileType, Digest: digest.FromBytes(b), Size: int64(len(b))}
		if err := c.store.pushBlob(ctx, c.gun, d, b); err != nil {
			return err
		}
		files[name] = d
	}
	if err := c.store.pushBlob(ctx, c.gun, v1.DescriptorEmptyJSON, v1.DescriptorEmptyJSON.Data); err != nil {
		return err
	}
	b, err := json.Marshal(manifestOf(files))
	if err != nil {
		return fmt.Errorf("encode manifest: %w", err)
	}
	if len(files) > maxFiles || len(b) > oci.MaxManifest {
		return fault.Errorf(fault.Invalid, "%d metadata files do not fit in one manifest", len(files))
	}
	return c.publish(ctx, u.Version, b)
}

// publish remembers the manifest b, puts it under the tag if it still holds the base, and
// looks whether it stays there.
func (c *change) publish(ctx context.Context, version int64, b []byte) error {
	if err := c.unchanged(ctx); err != nil {
		return err
	}
	if err := c.remember(ctx, version, b); err != nil {
		return c.unsure(ctx, err)
	}
	if err := c.store.put(ctx, c.gun, Tag, b, c.condition()); err != nil {
		return c.unsure(ctx, fmt.Errorf("publish trust data of %q: %w", c.gun, err))
	}
	now, err := c.store.load(ctx, c.gun, Tag)
	if err != nil {
		return fmt.Errorf("read again what was published: %w", err)
	}
	if now.manifest.Digest != digest.FromBytes(b) {
		return fault.Errorf(fault.Conflict, "somebody else wrote over the trust data of %q while it was published", c.gun)
	}
	return nil
}

// unsure adds to the error of a PUT that was given up, or whose answer is lost,
// that it may have arrived: somebody who stopped it because they signed the wrong
// image must not think that nothing was signed.
func (c *change) unsure(ctx context.Context, err error) error {
	if fault.Is(err, fault.Conflict) || fault.HintOf(err) != "" {
		return err
	}
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		err = fault.Errorf(fault.Unavailable, "the registry did not answer in time: %w", err)
	}
	return fault.Hint(err, "what was signed may be published yet, by the registry or by the next publisher: sign again to be sure, or take it back (plimsoll trust revoke)")
}

// unchanged checks that the tag, and the claim if there is one, are as they were
// when the change began.
func (c *change) unchanged(ctx context.Context) error {
	now, err := c.store.load(ctx, c.gun, Tag)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if (now == nil) != (c.base == nil) || (now != nil && now.manifest.Digest != c.base.manifest.Digest) {
		return fault.Errorf(fault.Conflict, "trust data of %q has changed meanwhile", c.gun)
	}
	if c.claim == nil {
		return nil
	}
	held, err := c.store.readClaim(ctx, c.gun)
	if err != nil {
		return err
	}
	if held == nil || held.Number != c.claim.Number {
		return fault.Errorf(fault.Conflict, "the claim on the trust data of %q was taken over by somebody else", c.gun)
	}
	return nil
}

func (c *change) condition() oci.Condition {
	switch {
	case c.base == nil:
		return oci.Condition{IfNoneMatch: true}
	case c.base.manifest.ETag != "":
		return oci.Condition{IfMatch: c.base.manifest.ETag}
	}
	return oci.Condition{IfMatch: `"` + string(c.base.manifest.Digest) + `"`}
}

// Close implements [trust.Change]: it gives the claim back.
func (c *change) Close(ctx context.Context) error {
	if c.claim == nil {
		return nil
	}
	return c.store.release(ctx, c.gun, c.claim)
}

// put writes a manifest in at most the time that a PUT may take.
func (s *Store) put(ctx context.Context, gun ref.GUN, tag string, b []byte, cond oci.Condition) error {
	ctx, cancel := context.WithTimeout(ctx, s.putTime(gun))
	defer cancel()
	_, err := s.cfg.Registry.PushManifest(ctx, gun.Reference().WithTag(tag), v1.MediaTypeImageManifest, b, cond)
	return err
}

func (s *Store) pushBlob(ctx context.Context, gun ref.GUN, d v1.Descriptor, b []byte) error {
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
	if err := s.cfg.Registry.PushBlob(ctx, gun, d, open); err != nil {
		return fmt.Errorf("push trust data of %q: %w", gun, err)
	}
	return nil
}

// manifestOf returns the manifest that lists files, in the order of their names.
func manifestOf(files map[string]v1.Descriptor) v1.Manifest {
	m := artifact(ArtifactType)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		d := files[name]
		d.Annotations = map[string]string{v1.AnnotationTitle: name}
		m.Layers = append(m.Layers, d)
	}
	return m
}

func artifact(artifactType string) v1.Manifest {
	empty := v1.DescriptorEmptyJSON
	empty.Data = nil
	return v1.Manifest{
		Versioned:    specs.Versioned{SchemaVersion: 2},
		MediaType:    v1.MediaTypeImageManifest,
		ArtifactType: artifactType,
		Config:       empty,
	}
}
