//go:build linux

package rootfs_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/ref"
	"plimsoll/internal/rootfs"
)

// needRoot skips a test on a user's machine that only root can run.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("needs root")
	}
	t.Skip("needs root: owners and whiteouts cannot be made")
}

// layer is a layer as a list of entries; the content of each is its own path.
type layer struct {
	entries []image.Entry
	real    ref.Digest // what its bytes are; empty: what it claims
	err     error      // after the entries
	walks   atomic.Int32
}

func (l *layer) Walk(ctx context.Context, _ int, _ image.Caps, fn func(image.Entry, io.Reader) error) (image.Walked, error) {
	l.walks.Add(1)
	for _, e := range l.entries {
		if err := ctx.Err(); err != nil {
			return image.Walked{}, err
		}
		if err := fn(e, strings.NewReader(e.Path)); err != nil {
			return image.Walked{}, err
		}
	}
	d := l.real
	if d == "" {
		d = l.id()
	}
	return image.Walked{DiffID: d, Count: len(l.entries)}, l.err
}

func (l *layer) id() ref.Digest {
	b, err := json.Marshal(l.entries)
	if err != nil {
		panic(err)
	}
	return ref.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256(b)))
}

func unpack(t *testing.T, l *layer) (rootfs.Layer, error) {
	t.Helper()
	dir := t.TempDir()
	s, err := rootfs.NewStore(filepath.Join(dir, "layers"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Unpack(t.Context(), l, []ref.Digest{l.id()})
	if err == nil {
		return got[0], nil
	}
	left, globErr := filepath.Glob(filepath.Join(dir, "layers", "*[^k]")) // all but locks
	if globErr != nil || len(left) > 0 {
		t.Errorf("a refused layer left %v behind (%v)", left, globErr)
	}
	return rootfs.Layer{}, err
}

var when = time.Date(2026, 2, 3, 4, 5, 6, 700, time.UTC)

func TestUnpackKeepsWhatTheLayerSays(t *testing.T) {
	needRoot(t)
	caps := string(append([]byte{1, 0, 0, 2}, make([]byte, 16)...))
	l := &layer{entries: []image.Entry{
		{Path: ".", Type: image.Directory, Mode: 0o755, Modified: when},
		{Path: "bin", Type: image.Directory, Mode: 0o755, Modified: when},
		{Path: "bin/su", Type: image.Regular, Mode: 0o4755, UID: 0, GID: 7, Modified: when},
		{Path: "bin/ping", Type: image.Regular, Mode: 0o755, Modified: when, Xattrs: map[string]string{"security.capability": caps, "user.note": "x"}},
		{Path: "bin/sh", Type: image.Symlink, Link: "/bin/su", UID: 5, Modified: when},
		{Path: "bin/login", Type: image.Hardlink, Link: "bin/su"},
		{Path: "tmp", Type: image.Directory, Mode: 0o1777, UID: 65535, GID: 65535, Modified: when},
		{Path: "run/pipe", Type: image.FIFO, Mode: 0o666, UID: 9, Modified: when},
		{Path: "etc/gone", Type: image.Whiteout},
		{Path: "var/cache", Type: image.Opaque},
		{Path: "dev/null", Type: image.Char, Major: 1, Minor: 3},
	}}
	got, err := unpack(t, l)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"dev/null"}, got.Skipped); diff != "" {
		t.Errorf("skipped (-want +got):\n%s", diff)
	}
	want := []string{
		". drwxr-xr-x 0:0 dated",
		"bin drwxr-xr-x 0:0 dated",
		"bin/login urwxr-xr-x 0:7 dated links=2",
		"bin/ping -rwxr-xr-x 0:0 dated security.capability=20 user.note=1",
		"bin/sh Lrwxrwxrwx 5:0 dated -> /bin/su",
		"bin/su urwxr-xr-x 0:7 dated links=2",
		"etc drwxr-xr-x 0:0",
		"etc/gone Dc--------- 0:0 rdev=0",
		"run drwxr-xr-x 0:0",
		"run/pipe prw-rw-rw- 9:0 dated",
		"tmp dtrwxrwxrwx 65535:65535 dated",
		"var drwxr-xr-x 0:0",
		"var/cache drwxr-xr-x 0:0 trusted.overlay.opaque=1",
	}
	if diff := cmp.Diff(want, list(t, got.Folder)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
	if b, err := os.ReadFile(filepath.Join(got.Folder, "bin", "su")); err != nil || string(b) != "bin/su" {
		t.Errorf("content %q, %v", b, err)
	}
}

// list writes one line for each thing below dir.
func list(t *testing.T, dir string) []string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(p)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, p)
		lines = append(lines, name+" "+describe(p, info))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func describe(p string, info fs.FileInfo) string {
	st, _ := info.Sys().(*unix.Stat_t)
	var raw unix.Stat_t
	if st == nil {
		if err := unix.Lstat(p, &raw); err != nil {
			return err.Error()
		}
		st = &raw
	}
	var s strings.Builder
	fmt.Fprintf(&s, "%v %d:%d", info.Mode(), st.Uid, st.Gid)
	if info.ModTime().Equal(when) {
		s.WriteString(" dated")
	}
	if info.Mode().IsRegular() && st.Nlink > 1 {
		fmt.Fprintf(&s, " links=%d", st.Nlink)
	}
	if info.Mode()&fs.ModeCharDevice != 0 {
		fmt.Fprintf(&s, " rdev=%d", st.Rdev)
	}
	if target, err := os.Readlink(p); err == nil {
		s.WriteString(" -> " + target)
	}
	for _, name := range []string{"security.capability", "trusted.overlay.opaque", "user.note"} {
		b := make([]byte, 64)
		if n, err := unix.Lgetxattr(p, name, b); err == nil {
			fmt.Fprintf(&s, " %s=%d", name, n)
		}
	}
	return s.String()
}

// TestLinksLeadNowhereOutside holds the attacks in which a layer writes through
// a link of its own.
func TestLinksLeadNowhereOutside(t *testing.T) {
	needRoot(t)
	outside := t.TempDir()
	canary := filepath.Join(outside, "canary")
	if err := os.WriteFile(canary, []byte("untouched"), 0o600); err != nil {
		t.Fatal(err)
	}
	up := strings.Repeat("../", 40) + strings.TrimPrefix(outside, "/")
	tests := map[string][]image.Entry{
		"absolute symlink":         {{Path: "a", Type: image.Symlink, Link: outside}, {Path: "a/canary", Type: image.Regular, Mode: 0o644}},
		"climbing symlink":         {{Path: "a", Type: image.Symlink, Link: up}, {Path: "a/canary", Type: image.Regular, Mode: 0o644}},
		"link to a link":           {{Path: "b", Type: image.Symlink, Link: up}, {Path: "a", Type: image.Symlink, Link: "b"}, {Path: "a/canary", Type: image.Regular}},
		"file over a symlink":      {{Path: "a", Type: image.Symlink, Link: canary}, {Path: "a", Type: image.Regular, Mode: 0o644}},
		"folder over a symlink":    {{Path: "a", Type: image.Symlink, Link: outside}, {Path: "a", Type: image.Directory, Mode: 0o777}},
		"whiteout behind a link":   {{Path: "a", Type: image.Symlink, Link: outside}, {Path: "a/canary", Type: image.Whiteout}},
		"opaque behind a link":     {{Path: "a", Type: image.Symlink, Link: filepath.Dir(outside)}, {Path: "a/" + filepath.Base(outside), Type: image.Opaque}},
		"hard link to the outside": {{Path: "a", Type: image.Hardlink, Link: strings.TrimPrefix(canary, "/")}},
		"hard link behind a link":  {{Path: "b", Type: image.Symlink, Link: outside}, {Path: "a", Type: image.Hardlink, Link: "b/canary"}},
		"hard link to a symlink":   {{Path: "b", Type: image.Symlink, Link: canary}, {Path: "a", Type: image.Hardlink, Link: "b"}, {Path: "a", Type: image.Regular, Mode: 0o644}},
		"magic link":               {{Path: "a", Type: image.Symlink, Link: "/proc/self/cwd"}, {Path: "a/canary", Type: image.Regular}},
		"name with dots":           {{Path: "../../canary", Type: image.Regular, Mode: 0o644}},
		"the folder above":         {{Path: "..", Type: image.Directory, Mode: 0o777}},
		"opaque folder above":      {{Path: "..", Type: image.Opaque}},
	}
	for name, entries := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := unpack(t, &layer{entries: entries}); err != nil && !fault.Is(err, fault.Invalid) {
				t.Errorf("refused with %v", err)
			}
			b, err := os.ReadFile(canary)
			if err != nil || string(b) != "untouched" {
				t.Fatalf("canary is %q, %v", b, err)
			}
			info, err := os.Stat(outside)
			if err != nil || info.Mode().Perm() == 0o777 {
				t.Fatalf("folder outside is %v, %v", info.Mode(), err)
			}
			if n, err := unix.Getxattr(outside, "trusted.overlay.opaque", nil); err == nil {
				t.Fatalf("folder outside became opaque (%d)", n)
			}
		})
	}
}

func TestUnpackRefuses(t *testing.T) {
	needRoot(t)
	file := image.Entry{Path: "f", Type: image.Regular, Mode: 0o644}
	with := func(f func(*image.Entry)) []image.Entry {
		e := file
		f(&e)
		return []image.Entry{e}
	}
	xattr := func(name, value string) []image.Entry {
		return with(func(e *image.Entry) { e.Xattrs = map[string]string{name: value} })
	}
	tests := map[string]*layer{
		"other bytes than claimed":     {entries: []image.Entry{file}, real: "sha256:" + ref.Digest(strings.Repeat("0", 64))},
		"cut stream":                   {entries: []image.Entry{file}, err: fault.Errorf(fault.Untrusted, "cut")},
		"owner outside of a container": {entries: with(func(e *image.Entry) { e.UID = 65536 })},
		"negative owner":               {entries: with(func(e *image.Entry) { e.GID = -1 })},
		"overlay attribute":            {entries: xattr("trusted.overlay.redirect", "/etc")},
		"user overlay attribute":       {entries: xattr("user.overlay.opaque", "y")},
		"security label":               {entries: xattr("security.selinux", "x")},
		"capabilities of a namespace":  {entries: xattr("security.capability", string(make([]byte, 24)))},
		"access list":                  {entries: xattr("system.posix_acl_access", "x")},
		"file below a file":            {entries: []image.Entry{file, {Path: "f/g", Type: image.Regular}}},
		"file over a folder":           {entries: []image.Entry{{Path: "f", Type: image.Directory}, file}},
		"hard link to a folder":        {entries: []image.Entry{{Path: "d", Type: image.Directory}, {Path: "l", Type: image.Hardlink, Link: "d"}}},
		"hard link to a whiteout":      {entries: []image.Entry{{Path: "d", Type: image.Whiteout}, {Path: "l", Type: image.Hardlink, Link: "d"}}},
		"hard link to itself":          {entries: []image.Entry{file, {Path: "f", Type: image.Hardlink, Link: "f"}}},
		"root that is a file":          {entries: with(func(e *image.Entry) { e.Path = "." })},
		"root that is whited out":      {entries: []image.Entry{{Path: ".", Type: image.Whiteout}}},
		"too deep":                     {entries: with(func(e *image.Entry) { e.Path = strings.Repeat("d/", 300) + "f" })},
		"name too long":                {entries: with(func(e *image.Entry) { e.Path = strings.Repeat("n", 300) })},
		"unknown type":                 {entries: with(func(e *image.Entry) { e.Type = 99 })},
	}
	for name, l := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := unpack(t, l)
			want := fault.Invalid
			if l.real != "" || l.err != nil {
				want = fault.Untrusted
			}
			if !fault.Is(err, want) {
				t.Errorf("got %+v, %v; want %v", got, err, want)
			}
		})
	}
}

func TestWhiteoutsSpeakOfLayersBelow(t *testing.T) {
	needRoot(t)
	file := func(p string) image.Entry { return image.Entry{Path: p, Type: image.Regular, Mode: 0o644} }
	tests := []struct {
		name    string
		entries []image.Entry
		want    []string
	}{
		{"whiteout, then file", []image.Entry{{Path: "a", Type: image.Whiteout}, file("a")}, []string{"a -rw-r--r-- 0:0"}},
		{"file, then whiteout", []image.Entry{file("a"), {Path: "a", Type: image.Whiteout}}, []string{"a -rw-r--r-- 0:0"}},
		{"whiteout, then content", []image.Entry{{Path: "a", Type: image.Whiteout}, file("a/b")}, []string{
			"a drwxr-xr-x 0:0 trusted.overlay.opaque=1", "a/b -rw-r--r-- 0:0",
		}},
		{"folder, then whiteout", []image.Entry{{Path: "a", Type: image.Directory, Mode: 0o700}, {Path: "a", Type: image.Whiteout}}, []string{
			"a drwx------ 0:0 trusted.overlay.opaque=1",
		}},
		{"opaque, then folder", []image.Entry{{Path: "a", Type: image.Opaque}, {Path: "a", Type: image.Directory, Mode: 0o700}}, []string{
			"a drwx------ 0:0 trusted.overlay.opaque=1",
		}},
		{"later entry wins", []image.Entry{{Path: "a", Type: image.Symlink, Link: "b"}, file("a")}, []string{"a -rw-r--r-- 0:0"}},
		{"link within the layer", []image.Entry{
			{Path: "usr/bin", Type: image.Directory, Mode: 0o755}, {Path: "bin", Type: image.Symlink, Link: "/usr/bin"}, file("bin/sh"),
		}, []string{"bin Lrwxrwxrwx 0:0 -> /usr/bin", "usr drwxr-xr-x 0:0", "usr/bin drwxr-xr-x 0:0", "usr/bin/sh -rw-r--r-- 0:0"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := unpack(t, &layer{entries: tt.entries})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, list(t, got.Folder)[1:]); diff != "" {
				t.Errorf("tree (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLayersAreUnpackedOnce(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	l := &layer{entries: []image.Entry{{Path: "f", Type: image.Regular, Mode: 0o644}}}
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			s, err := rootfs.NewStore(dir)
			if err == nil {
				_, err = s.Unpack(t.Context(), l, []ref.Digest{l.id(), l.id()})
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if n := l.walks.Load(); n != 1 {
		t.Errorf("walked %d times", n)
	}
	// A layer whose marker is gone was not complete.
	if err := os.Remove(filepath.Join(dir, strings.ReplaceAll(string(l.id()), ":", "-"), "layer.json")); err != nil {
		t.Fatal(err)
	}
	s, err := rootfs.NewStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Unpack(t.Context(), l, []ref.Digest{l.id()})
	if err != nil || len(got) != 1 || !got[0].Fresh {
		t.Errorf("an incomplete layer was taken: %+v, %v", got, err)
	}
}

func TestSweepLeavesTheBusy(t *testing.T) {
	dir := t.TempDir()
	s, err := rootfs.NewStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dead.tmp", "busy.tmp", "sha256-x"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Create(filepath.Join(dir, "busy.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if err := s.Sweep(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"dead.tmp": false, "busy.tmp": true, "sha256-x": true} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUnpackHeedsItsContext(t *testing.T) {
	needRoot(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s, err := rootfs.NewStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	l := &layer{entries: []image.Entry{{Path: "f", Type: image.Regular}}}
	if _, err := s.Unpack(ctx, l, []ref.Digest{l.id()}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	for _, ids := range [][]ref.Digest{nil, make([]ref.Digest, 501), {"sha256:../../etc"}} {
		if _, err := s.Unpack(t.Context(), l, ids); !fault.Is(err, fault.Invalid) {
			t.Errorf("%d diff IDs: %v", len(ids), err)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	needRoot(f)
	f.Add([]byte("a"), []byte("../../x"), byte(2), byte(0))
	f.Add([]byte("a/b"), []byte("a"), byte(3), byte(6))
	f.Fuzz(func(t *testing.T, name, link []byte, first, second byte) {
		if bytes.Contains(name, []byte{0}) || bytes.Contains(link, []byte{0}) {
			return
		}
		home := t.TempDir()
		s, err := rootfs.NewStore(filepath.Join(home, "layers"))
		if err != nil {
			t.Fatal(err)
		}
		clean := strings.TrimPrefix(filepath.Clean("/"+string(name)), "/")
		if clean == "" {
			clean = "."
		}
		l := &layer{entries: []image.Entry{
			{Path: clean, Link: string(link), Type: image.EntryType(first % 9), Mode: 0o755},
			{Path: filepath.Join(clean, "x"), Link: clean, Type: image.EntryType(second % 9), Mode: 0o755},
		}}
		_, _ = s.Unpack(t.Context(), l, []ref.Digest{l.id()})
		if names, err := os.ReadDir(home); err != nil || len(names) != 1 {
			t.Errorf("written outside of the layer: %v, %v", names, err)
		}
		_ = os.RemoveAll(home)
	})
}
