package app

import (
	"context"
	"path/filepath"

	"plimsoll/internal/feed"
	"plimsoll/internal/match"
	"plimsoll/internal/pack"
)

// AdvisoriesDir is the folder of the packs of advisories.
func (s Settings) AdvisoriesDir() string { return filepath.Join(s.Data, "advisories") }

// Advisories opens the current packs; there may be none. The caller closes the
// store.
func (s Settings) Advisories() (*pack.Store, error) { return pack.Open(s.AdvisoriesDir()) }

// Matcher returns a matcher over packs.
func (s Settings) Matcher(packs *pack.Store) *match.Matcher { return match.New(packs) }

// BuildAdvisories reads the sources in dir and makes packs of them the current
// ones. Nothing changes unless all of it succeeds.
func (s Settings) BuildAdvisories(ctx context.Context, dir string, o feed.Options) ([]pack.Info, []feed.Report, error) {
	b := new(pack.Builder)
	reports, err := feed.Load(ctx, dir, b, o)
	if err != nil {
		return nil, reports, err
	}
	built, err := pack.Build(ctx, s.AdvisoriesDir(), b)
	return built, reports, err
}
