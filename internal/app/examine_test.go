package app_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"plimsoll/internal/app"
	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// counting is a registry that counts what is read of it.
type counting struct {
	next http.Handler
	mu   sync.Mutex
	gets map[string]int
}

func (c *counting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		c.mu.Lock()
		c.gets[r.URL.Path]++
		c.mu.Unlock()
	}
	c.next.ServeHTTP(w, r)
}

func startCounting(t *testing.T) (*counting, ref.GUN) {
	t.Helper()
	c := &counting{next: registry.New(registry.Logger(log.New(io.Discard, "", 0))), gets: map[string]int{}}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	return c, ref.GUN(strings.TrimPrefix(server.URL, "http://") + "/team/app")
}

// pushFamily pushes n images that share their first layer, each under two tags.
func pushFamily(t *testing.T, gun ref.GUN, n int) []ref.Reference {
	t.Helper()
	base, err := random.Image(3000, 1)
	if err != nil {
		t.Fatal(err)
	}
	var names []ref.Reference
	for i := range n {
		layer, err := random.Layer(200, "application/vnd.docker.image.rootfs.diff.tar.gzip")
		if err != nil {
			t.Fatal(err)
		}
		img, err := mutate.AppendLayers(base, layer)
		if err != nil {
			t.Fatal(err)
		}
		for _, tag := range []string{"a", "b"} {
			names = append(names, push(t, gun, tag+strconv.Itoa(i), img))
		}
	}
	return names
}

func push(t *testing.T, gun ref.GUN, tag string, img v1.Image) ref.Reference {
	t.Helper()
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	r := gun.Reference().WithTag(tag)
	to, err := name.ParseReference(r.String(), name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(to, img); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestExamineReadsOnce: of many images, each manifest, config and layer.
func TestExamineReadsOnce(t *testing.T) {
	server, gun := startCounting(t)
	names := pushFamily(t, gun, 5)
	server.gets = map[string]int{}
	settings := app.Settings{Data: t.TempDir(), PlainHTTP: true}
	images, err := app.NewExaminer(settings.Images(nil)).Examine(t.Context(), names...)
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range images {
		if m.Tag != names[i].Tag || len(m.Platforms) != 1 || m.Platforms[0].Size != m.Size || m.Platforms[0].ChainID == "" {
			t.Errorf("%s: %+v", names[i], m)
		}
		if i%2 == 1 && m.Digest != images[i-1].Digest {
			t.Errorf("%s and %s are one image", names[i-1], names[i])
		}
	}
	if len(server.gets) != 5+5+6 { // manifests, configs, layers
		t.Errorf("%d things were read: %v", len(server.gets), server.gets)
	}
	for path, n := range server.gets {
		if n != 1 {
			t.Errorf("%s was read %d times", path, n)
		}
	}
}

// TestExamineLiar: a layer that was read for one image does not vouch for what
// another image's config says of it.
func TestExamineLiar(t *testing.T) {
	_, gun := startCounting(t)
	img, err := random.Image(100, 1)
	if err != nil {
		t.Fatal(err)
	}
	honest := push(t, gun, "honest", img)
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.RootFS.DiffIDs[0] = v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("0", 64)}
	lying, err := mutate.ConfigFile(img, config)
	if err != nil {
		t.Fatal(err)
	}
	liar := push(t, gun, "liar", lying)
	e := app.NewExaminer(app.Settings{Data: t.TempDir(), PlainHTTP: true}.Images(nil))
	if _, err := e.Examine(t.Context(), honest); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Examine(t.Context(), liar); !fault.Is(err, fault.Untrusted) || !strings.Contains(err.Error(), "the config says diff ID") {
		t.Errorf("got %v", err)
	}
}
