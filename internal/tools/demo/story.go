package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"plimsoll/internal/tools/registry"
)

// pin opens the demo's own token, which ends with the demo.
const pin = "1234"

// A story is one telling.
type story struct {
	stage    *stage
	top      string // of the checkout
	dir      string // of this telling; removed at its end
	bin      string // plimsoll
	registry *registry.Server
	root     string   // fingerprint of the root key
	asked    int      // questions put to the gate
	traces   []string // folders of cgroups and processes of containers that have run
	endings  []func() error
}

// path returns the path of a file of this telling.
func (s *story) path(name string) string { return filepath.Join(s.dir, name) }

// image returns the reference of a tag of the demo's repository.
func (s *story) image(tag string) string { return s.registry.Address + "/payments/harbour:" + tag }

// gun returns the repository that the demo signs.
func (s *story) gun() string { return s.registry.Address + "/payments/harbour" }

// stranger returns the repository that a stranger signs.
func (s *story) stranger() string { return s.registry.Address + "/payments/foreign" }

// tell tells the story from the checkout top, in a folder of its own that is
// gone afterwards, however the story ends.
func tell(ctx context.Context, top string, w io.Writer) (err error) {
	began := time.Now()
	s, err := begin(ctx, top, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	parts := []struct {
		title string
		tell  func(context.Context) error
	}{
		{"Two real images in a registry", s.images},
		{"Keys in a token, and signatures", s.signatures},
		{"What is in the images, and what is wrong with it", s.scans},
		{"May they run in production?", s.checks},
		{"Running sealed", s.runs},
		{"Who decided what", s.records},
	}
	s.stage.prose("All this happens in %s, with PLIMSOLL_DATA=data and\n"+
		"PLIMSOLL_PLAIN_HTTP=true. Each command is shown, then run; each ✓ has been checked.", s.dir)
	for i, part := range parts {
		s.stage.title(i+1, part.title)
		if err := part.tell(ctx); err != nil {
			return fmt.Errorf("part %d, %s: %w", i+1, strings.ToLower(part.title), err)
		}
	}
	s.stage.prose("Everything above was as told (%.0f s).", time.Since(began).Seconds())
	return nil
}

func begin(ctx context.Context, top string, w io.Writer) (*story, error) {
	top, err := filepath.Abs(top)
	if err != nil {
		return nil, fmt.Errorf("find checkout: %w", err)
	}
	s := &story{stage: newStage(w), top: top, bin: filepath.Join(top, "bin", "plimsoll")}
	if s.dir, err = os.MkdirTemp(filepath.Join(top, ".cache"), "demo-"); err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	s.endings = append(s.endings, s.remove)
	if err := os.Chmod(s.dir, 0o755); err != nil {
		return nil, errors.Join(err, s.end())
	}
	for name, target := range map[string]string{"harbour": ".cache/harbour", "advisories": "testdata/advisories"} {
		if err := os.Symlink(filepath.Join(top, target), s.path(name)); err != nil {
			return nil, errors.Join(fmt.Errorf("link %s: %w", name, err), s.end())
		}
	}
	if s.registry, err = registry.Start(ctx, s.path("registry")); err != nil {
		return nil, errors.Join(err, s.end())
	}
	s.endings = append(s.endings, s.registry.Close)
	return s, nil
}

// end undoes what the story has made, last first.
func (s *story) end() error {
	var all []error
	for i := len(s.endings) - 1; i >= 0; i-- {
		all = append(all, s.endings[i]())
	}
	return errors.Join(all...)
}

// remove removes the folder of this telling; where root has written into it,
// with root's help.
func (s *story) remove() error {
	err := os.RemoveAll(s.dir)
	if err == nil || os.Getuid() == 0 {
		return err
	}
	_, err = s.run(context.Background(), "sudo", "-n", "rm", "-rf", "--one-file-system", s.dir)
	return err
}

// writePolicy fills in the demo's policy.
func (s *story) writePolicy() error {
	text, err := os.ReadFile(filepath.Join(s.top, "demo", "policy.yaml"))
	if err != nil {
		return fmt.Errorf("read policy: %w", err)
	}
	me, err := user.Current()
	if err != nil {
		return fmt.Errorf("find out who runs this: %w", err)
	}
	filled := os.Expand(string(text), func(name string) string {
		return map[string]string{"REGISTRY": s.registry.Address, "ROOT_KEY": s.root, "USER": me.Username, "FOLDER": s.path("shared")}[name]
	})
	if err := os.MkdirAll(s.path("data"), 0o700); err != nil {
		return fmt.Errorf("make the folder of state: %w", err)
	}
	if err := os.WriteFile(s.path("data/policy.yaml"), []byte(filled), 0o600); err != nil {
		return fmt.Errorf("write policy: %w", err)
	}
	return nil
}
