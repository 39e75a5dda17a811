package trust

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"
)

// TestOracle: go-tuf's client takes what we publish, from plain TUF paths, and
// refuses the same tampering as ours.
func TestOracle(t *testing.T) {
	w := newWorld(t)
	w.newKey("releases")
	w.must(w.repo.Delegate(t.Context(), RoleConfig{Name: "releases", Keys: w.public("releases"), Threshold: 1}))
	top := w.sign(RoleTargets, "v1", "a")
	w.sign("releases", "v2", "b")
	w.newKey("targets2")
	w.must(w.repo.Rotate(t.Context(), []string{RoleTargets}, w.public("targets2"), 0))
	w.must(w.repo.Rotate(t.Context(), []string{RoleRoot}, w.public("root3", "root1"), 0))
	good := w.files()

	u, err := oracle(t, good)
	if err != nil {
		t.Fatalf("go-tuf refuses our repository: %v", err)
	}
	if got := u.GetTrustedMetadataSet().Root.Signed.Version; got != 3 {
		t.Errorf("go-tuf reached root %d, want 3", got)
	}
	for _, name := range []string{"v1", "v2", digestTarget(top.Digest)} {
		if _, err := u.GetTargetInfo(name); err != nil {
			t.Errorf("go-tuf does not find %q: %v", name, err)
		}
	}

	w.newKey("thief")
	for _, name := range []string{"2.root.json", "3.root.json", "timestamp.json", "6.snapshot.json", "4.targets.json"} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			f := good.clone()
			if f[name] == nil {
				t.Fatalf("there is no %s", name)
			}
			w.forge(f, name, func(map[string]any) {}, "thief")
			if _, err := oracle(t, f); err == nil {
				t.Error("go-tuf takes it")
			}
			w.forget()
			w.refused(w.refresh(f), "")
		})
	}
}

// oracle lets go-tuf refresh from f, starting at root 1.
func oracle(t *testing.T, f files) (*updater.Updater, error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		b, ok := f[strings.TrimPrefix(r.URL.Path, "/")]
		if !ok {
			http.NotFound(rw, r)
			return
		}
		_, _ = rw.Write(b)
	}))
	t.Cleanup(server.Close)
	cfg, err := config.New(server.URL, f["1.root.json"])
	if err != nil {
		t.Fatal(err)
	}
	cfg.LocalMetadataDir, cfg.LocalTargetsDir = t.TempDir(), t.TempDir()
	u, err := updater.New(cfg)
	if err != nil {
		return nil, err
	}
	u.UnsafeSetRefTime(testTime)
	return u, u.Refresh()
}
