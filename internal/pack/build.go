package pack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"plimsoll/internal/advisory"
	"plimsoll/internal/fault"
)

// Build writes the packs that b gathered into dir, makes them the current ones
// of their ecosystems and returns their descriptions, sorted by ecosystem. Packs
// of other ecosystems stay. Until the index is replaced, at the very end,
// readers see the packs of before; those are kept until the next build for
// readers that have already read the index. Conflict if somebody else is
// building.
func Build(ctx context.Context, dir string, b *Builder) (built []Info, err error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("create folder of advisories: %w", err)
	}
	unlock, err := lock(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	before, err := readIndex(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range b.Ecosystems() {
		info, err := b.write(ctx, dir, e)
		if err != nil {
			return nil, fmt.Errorf("build pack %q: %w", e, err)
		}
		built = append(built, info)
	}
	after := before.with(built)
	if err := errors.Join(ctx.Err(), after.check()); err != nil {
		return nil, err
	}
	if err := after.write(dir); err != nil {
		return nil, fmt.Errorf("write index of advisories: %w", err)
	}
	return built, sweep(dir, before, after)
}

// write makes the pack of one ecosystem.
func (b *Builder) write(ctx context.Context, dir string, e advisory.Ecosystem) (Info, error) {
	f, err := os.CreateTemp(dir, ".build-*")
	if err != nil {
		return Info{}, err
	}
	defer os.Remove(f.Name())
	if err := f.Close(); err != nil {
		return Info{}, err
	}
	info := b.sets[e].info(e)
	if err := b.sets[e].write(ctx, f.Name(), info); err != nil {
		return Info{}, err
	}
	info.Digest, info.Size, err = keep(dir, f.Name())
	return info, err
}

// with returns the index with packs in place of those of the same ecosystems.
func (x *index) with(packs []Info) *index {
	merged := &index{Form: indexForm, Packs: slices.Clone(packs)}
	for _, old := range x.Packs {
		if _, replaced := merged.find(old.Ecosystem); !replaced {
			merged.Packs = append(merged.Packs, old)
		}
	}
	slices.SortFunc(merged.Packs, func(a, b Info) int { return strings.Compare(string(a.Ecosystem), string(b.Ecosystem)) })
	return merged
}

// lock takes the builders' lock of dir.
func lock(dir string) (unlock func() error, err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock advisories: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fault.Errorf(fault.Conflict, "lock advisories: another build is under way: %w", err), f.Close())
	}
	return f.Close, nil
}

// sweep removes packs that neither index names, and what a killed build left.
func sweep(dir string, indexes ...*index) error {
	named := map[string]bool{}
	for _, x := range indexes {
		for _, p := range x.Packs {
			named[fileName(p.Digest)] = true
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("sweep advisories: %w", err)
	}
	for _, e := range entries {
		left := strings.HasPrefix(e.Name(), ".build-") || strings.HasPrefix(e.Name(), "."+indexName)
		if old := strings.HasSuffix(e.Name(), ".db") && !named[e.Name()]; !old && !left {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("sweep advisories: %w", err)
		}
	}
	return nil
}
