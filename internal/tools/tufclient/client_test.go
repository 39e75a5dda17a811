package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// client is the program under test with its two folders.
type client struct {
	testing.TB
	repo          *repo
	meta, targets string
	now           time.Time
}

// newClient returns a client that was given root 1.
func newClient(r *repo) *client {
	r.Helper()
	c := &client{TB: r.TB, repo: r, meta: r.TempDir(), targets: r.TempDir(), now: today}
	c.must(c.init(r.files["root"][0]))
	return c
}

func (c *client) run(args ...string) error {
	return run(c.Context(), args, func(context.Context) (time.Time, error) { return c.now, nil })
}

func (c *client) init(root []byte) error {
	c.Helper()
	path := filepath.Join(c.TempDir(), "initial_root.json")
	c.must(os.WriteFile(path, root, 0o600))
	return c.run("--metadata-dir", c.meta, "init", path)
}

func (c *client) refresh() error {
	return c.run("--metadata-url", c.repo.url+"/metadata/", "--metadata-dir", c.meta, "refresh")
}

func (c *client) download(names ...string) error {
	args := []string{"--metadata-url", c.repo.url + "/metadata/", "--metadata-dir", c.meta}
	for _, n := range names {
		args = append(args, "--target-name", n)
	}
	return c.run(append(args, "--target-dir", c.targets, "--target-base-url", c.repo.url+"/targets/", "download")...)
}

func (c *client) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

// refused demands an error with the words.
func (c *client) refused(err error, words string) {
	c.Helper()
	if err == nil || !strings.Contains(err.Error(), words) {
		c.Fatalf("got %v, want an error with %q", err, words)
	}
}

// trusts demands that the metadata folder holds the given roles in the given
// versions and nothing else: "root 1, snapshot 1".
func (c *client) trusts(want string) {
	c.Helper()
	names, err := filepath.Glob(filepath.Join(c.meta, "*.json"))
	c.must(err)
	var all []string
	for _, name := range names {
		var file struct{ Signed struct{ Version int } }
		b, err := os.ReadFile(name)
		c.must(err)
		c.must(json.Unmarshal(b, &file))
		all = append(all, fmt.Sprintf("%s %d", strings.TrimSuffix(filepath.Base(name), ".json"), file.Signed.Version))
	}
	if diff := cmp.Diff(want, strings.Join(all, ", ")); diff != "" {
		c.Fatal("trusted (-want +got):\n" + diff)
	}
}

// spoil writes over a file that the client trusts.
func (c *client) spoil(role string) {
	c.Helper()
	c.must(os.WriteFile(filepath.Join(c.meta, role+".json"), []byte("{"), 0o600))
}

// asked demands the requests since the last time.
func (c *client) asked(want ...string) {
	c.Helper()
	if diff := cmp.Diff(want, c.repo.asked()); diff != "" {
		c.Fatal("requests (-want +got):\n" + diff)
	}
}

// has demands the contents of the folder of targets, in any order.
func (c *client) has(want ...string) {
	c.Helper()
	got := map[string]bool{}
	c.must(filepath.WalkDir(c.targets, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		got[string(b)] = true
		return err
	}))
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(got))); diff != "" {
		c.Fatal("downloaded (-want +got):\n" + diff)
	}
}

func TestCommandLine(t *testing.T) {
	for _, args := range [][]string{
		{},
		{"refresh"},
		{"--metadata-dir", "m"},
		{"--metadata-dir", "m", "init"},
		{"--metadata-dir", "m", "init", "no-such-file"},
		{"--metadata-dir", "m", "init", "a", "b"},
		{"--metadata-dir", "m", "refresh"},
		{"--metadata-dir", "m", "--metadata-url", "ftp://example.com", "refresh"},
		{"--metadata-dir", "m", "--metadata-url", "http://127.0.0.1:1", "download"},
		{"--metadata-dir", "m", "--metadata-url", "http://127.0.0.1:1", "--target-name", "a", "--target-dir", "t", "download"},
		{"--metadata-dir", "m", "--days-in-future", "1", "refresh"},
		{"--metadata-dir", "m", "verify"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Chdir(t.TempDir())
			if err := run(t.Context(), args, dateCommand); err == nil {
				t.Error("no error")
			}
		})
	}
}

// TestClock: the time is that of the command date, which libfaketime deceives.
func TestClock(t *testing.T) {
	if _, err := exec.LookPath("date"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("there is no command date")
		}
		t.Skip("there is no command date")
	}
	now, err := dateCommand(t.Context())
	if err != nil || time.Since(now).Abs() > time.Hour {
		t.Errorf("%s, %v", now, err)
	}

	dir := t.TempDir()
	fake := func(script string) {
		if err := os.WriteFile(filepath.Join(dir, "date"), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	fake("echo 86400")
	if now, err := dateCommand(t.Context()); err != nil || !now.Equal(time.Unix(86400, 0)) {
		t.Errorf("%s, %v", now, err)
	}
	fake("echo tomorrow")
	if now, err := dateCommand(t.Context()); err == nil {
		t.Errorf("tomorrow is %s", now)
	}
	fake("exit 1")
	if now, err := dateCommand(t.Context()); err == nil {
		t.Errorf("no answer is %s", now)
	}
}

// TestNoClockNoTrust: without the time nothing is fetched.
func TestNoClockNoTrust(t *testing.T) {
	c := newClient(newRepo(t))
	err := run(t.Context(), []string{"--metadata-url", c.repo.url + "/metadata/", "--metadata-dir", c.meta, "refresh"},
		func(context.Context) (time.Time, error) { return time.Time{}, os.ErrDeadlineExceeded })
	c.refused(err, os.ErrDeadlineExceeded.Error())
	c.asked()
}
