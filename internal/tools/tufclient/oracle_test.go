package main

import (
	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"
)

// agrees demands that go-tuf, which nobody here wrote, takes the repository and
// finds the target, or refuses one of them, as we do: the simulator simulates what
// others too hold for a repository.
func (r *repo) agrees(target string, want bool) {
	r.Helper()
	cfg, err := config.New(r.url+"/metadata", r.files["root"][0])
	if err != nil {
		r.Fatal(err)
	}
	cfg.LocalMetadataDir, cfg.LocalTargetsDir = r.TempDir(), r.TempDir()
	u, err := updater.New(cfg)
	if err == nil {
		u.UnsafeSetRefTime(today)
		err = u.Refresh()
	}
	if err == nil && target != "" {
		_, err = u.GetTargetInfo(target)
	}
	if (err == nil) != want {
		r.Errorf("go-tuf says: %v", err)
	}
}
