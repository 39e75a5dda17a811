package image_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
)

func parse(t *testing.T, s string) image.Name {
	t.Helper()
	n, err := image.ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestCopyKeepsAnIndexWhole copies two platforms from a layout to a registry and
// from there to a layout.
func TestCopyKeepsAnIndexWhole(t *testing.T) {
	l := newLayout(t)
	amd64, arm64 := l.image("linux/amd64", ""), l.image("linux/arm64", "")
	top := l.index(amd64, l.index(arm64))
	host, out := startRegistry(t), filepath.Join(t.TempDir(), "out")
	o := opener()
	for _, step := range [][2]string{{l.top(top), host + "/app:1"}, {host + "/app:1", "oci:" + out}} {
		copied, err := o.Copy(t.Context(), parse(t, step[0]), parse(t, step[1]), "")
		if err != nil {
			t.Fatal(err)
		}
		if copied.Digest != top.Digest || copied.Manifests != 4 || copied.Blobs != 4 {
			t.Errorf("%v: copied %+v", step, copied)
		}
	}
	for _, platform := range []string{"linux/amd64", "linux/arm64"} {
		m, err := o.Open(t.Context(), "oci:"+out, platform)
		if err != nil {
			t.Fatal(err)
		}
		walkAll(t, m)
	}
	one, err := o.Copy(t.Context(), parse(t, host+"/app:1"), parse(t, host+"/app:arm64"), "linux/arm64")
	if err != nil || one.Digest != arm64.Digest || one.Manifests != 1 {
		t.Errorf("one platform: %+v, %v", one, err)
	}
}

func TestCopyFromArchives(t *testing.T) {
	legacy, _ := legacyArchive(t)
	lying := savedLayout(t)
	lying[5] = named("manifest.json", `[]`)
	for name, tt := range map[string]struct {
		files []file
		want  string
	}{"legacy": {legacy, ""}, "OCI layout": {savedLayout(t), ""}, "two stories": {lying, "different images"}} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			_, err := opener().Copy(t.Context(), parse(t, save(t, tt.files...)), parse(t, "oci:"+out), image.AllPlatforms)
			if tt.want != "" {
				if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %v, want invalid with %q", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			m, err := opener().Open(t.Context(), "oci:"+out, "")
			if err != nil {
				t.Fatal(err)
			}
			walkAll(t, m)
		})
	}
}

// TestCancelledCopyLeavesNothing cancels after the first bytes.
func TestCancelledCopyLeavesNothing(t *testing.T) {
	l := newLayout(t)
	name, out := l.top(l.image("linux/amd64", "")), filepath.Join(t.TempDir(), "out")
	ctx, cancel := context.WithCancel(t.Context())
	var reads atomic.Int32
	o := opener()
	o.Progress = func(int) {
		if reads.Add(1) == 4 {
			cancel()
		}
	}
	_, err := o.Copy(ctx, parse(t, name), parse(t, "oci:"+out), "")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the context's", err)
	}
	if _, err := os.Lstat(out); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the destination is there: %v", err)
	}
	if left, err := os.ReadDir(filepath.Dir(out)); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
