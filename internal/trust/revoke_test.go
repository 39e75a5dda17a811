package trust

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
)

func TestRevoke(t *testing.T) {
	for name, more := range map[string]int{"in one file": 0, "in bins": many} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.delegate("releases", "security")
			w.must(w.repo.Sign(t.Context(), "releases", append(images("other", more), image("", "x"))...))
			bad := w.sign("releases", "v1", "bad")
			w.sign("releases", "latest", "bad")
			w.sign("security", "v1", "bad")
			good := w.sign("releases", "v2", "good")
			removed, err := w.repo.Revoke(t.Context(), "releases", bad.Digest)
			w.must(err)
			if diff := cmp.Diff([]string{"latest", digestTarget(bad.Digest), "v1"}, removed); diff != "" {
				t.Error(diff)
			}
			for _, name := range []string{":latest"} {
				if _, err := w.ask(w.store, name); !fault.Is(err, fault.NotFound) {
					t.Errorf("%s: %v", name, err)
				}
			}
			for _, name := range []string{":v1", "@" + string(bad.Digest), "@" + string(bad.Platforms[0].Manifest)} {
				s, err := w.ask(w.store, name)
				if err != nil || len(s.Roles) != 1 || s.Roles["security"] == "" {
					t.Errorf("%s: %+v, %v", name, s, err)
				}
			}
			if _, err := w.ask(w.store, "@"+string(good.Platforms[1].Manifest)); err != nil {
				t.Errorf("another image: %v", err)
			}
			if _, err := w.repo.Revoke(t.Context(), "releases", bad.Digest); !fault.Is(err, fault.NotFound) {
				t.Errorf("revoked twice: %v", err)
			}
			_, err = w.repo.Revoke(t.Context(), "releases", good.Platforms[0].Manifest)
			if !fault.Is(err, fault.Usage) || !strings.Contains(fault.HintOf(err), string(good.Digest)) {
				t.Errorf("one platform: %v, hint %q", err, fault.HintOf(err))
			}
			if _, err := w.repo.Revoke(t.Context(), "nobody", good.Digest); !fault.Is(err, fault.NotFound) {
				t.Errorf("unknown role: %v", err)
			}
		})
	}
}

// TestRevokeSharedPlatform: a platform that two images share stays as long as
// one of them does; one that is an image itself stays as that.
func TestRevokeSharedPlatform(t *testing.T) {
	for name, more := range map[string]int{"in one file": 0, "in bins": many} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			a, b := image("a", "a"), image("b", "b")
			b.Platforms = append(b.Platforms, a.Platforms[0])
			alone := a.Platforms[1]
			c := Image{Tag: "c", Digest: alone.Manifest, Size: alone.Size, MediaType: "application/vnd.oci.image.manifest.v1+json", Platforms: []Platform{alone}}
			w.must(w.repo.Sign(t.Context(), RoleTargets, append(images("v", more), a, b, c)...))
			_, err := w.repo.Revoke(t.Context(), RoleTargets, a.Digest)
			w.must(err)
			for _, p := range a.Platforms {
				if _, err := w.ask(w.store, "@"+string(p.Manifest)); err != nil {
					t.Error(err)
				}
			}
			_, err = w.repo.Revoke(t.Context(), RoleTargets, c.Digest)
			w.must(err)
			_, err = w.repo.Revoke(t.Context(), RoleTargets, b.Digest)
			w.must(err)
			for _, m := range []Image{a, b, c} {
				for _, p := range m.Platforms {
					if _, err := w.ask(w.store, "@"+string(p.Manifest)); !fault.Is(err, fault.NotFound) {
						t.Errorf("%s of %s: %v", p.Platform, m.Tag, err)
					}
				}
			}
		})
	}
}

// TestRevokeAPlatformOfAnother: an image that was signed by itself and is also a
// platform of another one would stay signed, though it was said to be revoked.
func TestRevokeAPlatformOfAnother(t *testing.T) {
	for name, more := range map[string]int{"in one file": 0, "in bins": many} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			index := image("index", "a")
			p := index.Platforms[1]
			alone := Image{Tag: "alone", Digest: p.Manifest, Size: p.Size, MediaType: "application/vnd.oci.image.manifest.v1+json", Platforms: []Platform{p}}
			w.must(w.repo.Sign(t.Context(), RoleTargets, append(images("v", more), index, alone)...))
			_, err := w.repo.Revoke(t.Context(), RoleTargets, alone.Digest)
			if !fault.Is(err, fault.Usage) || !strings.Contains(fault.HintOf(err), string(index.Digest)) {
				t.Fatalf("revoked, and %s still has it: %v, hint %q", index.Tag, err, fault.HintOf(err))
			}
			for _, m := range []Image{index, alone} {
				_, err := w.repo.Revoke(t.Context(), RoleTargets, m.Digest)
				w.must(err)
			}
			if _, err := w.ask(w.store, "@"+string(alone.Digest)); !fault.Is(err, fault.NotFound) {
				t.Errorf("after both are revoked: %v", err)
			}
		})
	}
}
