package app_test

import (
	"context"
	"io"
	"log"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"plimsoll/internal/app"
	"plimsoll/internal/fault"
	"plimsoll/internal/gate"
	"plimsoll/internal/key"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
)

// pushIndex pushes an index of images for the platforms, none of which may be
// this machine's.
func pushIndex(t *testing.T, to string, platforms ...v1.Platform) {
	t.Helper()
	var index v1.ImageIndex = empty.Index
	for _, p := range platforms {
		img, err := random.Image(200, 2)
		if err != nil {
			t.Fatal(err)
		}
		config, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		config = config.DeepCopy()
		config.OS, config.Architecture, config.Variant = p.OS, p.Architecture, p.Variant
		if img, err = mutate.ConfigFile(img, config); err != nil {
			t.Fatal(err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &p}})
	}
	r, err := name.ParseReference(to, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(r, index); err != nil {
		t.Fatal(err)
	}
}

// TestSignedIndexIsFoundByTheGate goes the whole way: keys in files, a registry,
// an index none of whose images runs here, and the gate's questions.
func TestSignedIndexIsFoundByTheGate(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	t.Setenv("PLIMSOLL_KEY_PASSPHRASE", "correct-horse-battery")
	gun := ref.GUN(strings.TrimPrefix(server.URL, "http://") + "/team/app")
	pushIndex(t, string(gun)+":1", v1.Platform{OS: "linux", Architecture: "s390x"}, v1.Platform{OS: "linux", Architecture: "riscv64"})

	ctx := t.Context()
	settings := app.Settings{Data: t.TempDir(), PlainHTTP: true}
	services := settings.Trust(nil)
	tag := gun.Reference().WithTag("1")
	examined, err := app.NewExaminer(settings.Images(nil)).Examine(ctx, tag)
	if err != nil {
		t.Fatal(err)
	}
	m := examined[0]
	if len(m.Platforms) != 2 || m.Platforms[1].Platform != "linux/riscv64" || m.Platforms[0].ChainID == "" || m.Tag != "1" {
		t.Fatalf("examined: %+v", m)
	}
	pins := publish(ctx, t, services, gun, m)

	truster := app.Truster{Client: services.Client}
	for _, r := range []ref.Reference{tag, tag.WithDigest(m.Digest), tag.WithDigest(m.Platforms[1].Manifest)} {
		s, err := truster.Statement(ctx, gun, pins, r)
		if err != nil {
			t.Fatalf("%s: %v", r, err)
		}
		want := m.Digest
		if r.Digest != "" {
			want = r.Digest
		}
		if s.Roles[trust.RoleTargets] != want || s.GUN != gun {
			t.Errorf("%s: %+v", r, s)
		}
	}
	if _, err := truster.Statement(ctx, gun, pins, tag.WithTag("2")); !fault.Is(err, fault.NotFound) {
		t.Errorf("not signed: %v", err)
	}
}

// publish starts a collection and signs m; the machine's memory is read anew in
// between, as in two commands.
func publish(ctx context.Context, t *testing.T, services *app.Trust, gun ref.GUN, m trust.Image) gate.Pins {
	t.Helper()
	uri := "file:" + filepath.Join(t.TempDir(), "key.pem")
	signer, err := services.Keys.Generate(ctx, uri, key.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	if err := signer.Close(); err != nil {
		t.Fatal(err)
	}
	p, err := services.Publisher(ctx, gun, nil, true)
	if err != nil {
		t.Fatal(err)
	}
	k, err := p.Hold(ctx, uri)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Init(ctx, trust.InitConfig{Root: []*trust.Key{k}, RootThreshold: 1, Targets: []*trust.Key{k}}); err != nil {
		t.Fatal(err)
	}
	pins := trust.Pins{Threshold: 1, Keys: []string{k.Fingerprint}}
	for _, err := range []error{p.Remember(), p.Close(), services.Pins.Set(ctx, gun, pins, true)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if p, err = services.Publisher(ctx, gun, nil, false); err != nil {
		t.Fatal(err)
	}
	if err := p.Sign(ctx, trust.RoleTargets, m); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	return gate.Pins{Threshold: pins.Threshold, Keys: pins.Keys}
}
