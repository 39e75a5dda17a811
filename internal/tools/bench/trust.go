package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"plimsoll/internal/app"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
)

// What is signed.
const (
	signTags = 500    // in a repository without bins
	binTags  = 10_000 // in one with them
)

// publisher is a machine that signs for one repository of the registry.
type publisher struct {
	*bench
	data string
	gun  ref.GUN
}

// newPublisher starts a repository with keys in files.
func (b *bench) newPublisher(ctx context.Context, repository string) (*publisher, error) {
	p := &publisher{bench: b, data: filepath.Join(b.dir, "publisher-"+repository), gun: ref.GUN(b.registry.address + "/" + repository)}
	root, key := "file:"+filepath.Join(b.dir, repository+"-root.pem"), "file:"+filepath.Join(b.dir, repository+".pem")
	for _, args := range [][]string{
		{"key", "generate", root},
		{"key", "generate", key},
		{"trust", "init", string(p.gun), "--root-key", root, "--key", key},
	} {
		if _, err := b.measure(ctx, p.data, b.plimsoll, args...); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *publisher) sign(ctx context.Context, tags ...string) (sample, error) {
	args := []string{"sign"}
	for _, t := range tags {
		args = append(args, p.gun.Reference().WithTag(t).String())
	}
	return p.measure(ctx, p.data, p.plimsoll, args...)
}

// newReader returns a data folder in which the publisher's root keys are pinned.
func (p *publisher) newReader() (string, error) {
	dir := filepath.Join(p.data+"-reader", "trust")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make folder: %w", err)
	}
	pins, err := os.ReadFile(filepath.Join(p.data, "trust", "pins.json"))
	if err != nil {
		return "", fmt.Errorf("read pins: %w", err)
	}
	return filepath.Dir(dir), os.WriteFile(filepath.Join(dir, "pins.json"), pins, 0o600)
}

func (p *publisher) verify(ctx context.Context, reader, tag string) (sample, error) {
	return p.measure(ctx, reader, p.plimsoll, "verify", p.gun.Reference().WithTag(tag).String())
}

// push puts a small image of its own under tag, on top of base.
func (p *publisher) push(ctx context.Context, base v1.Image, tag string) error {
	layer, err := random.Layer(1000, types.OCILayer)
	if err != nil {
		return fmt.Errorf("make layer: %w", err)
	}
	img, err := mutate.AppendLayers(base, layer)
	if err != nil {
		return fmt.Errorf("make image: %w", err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		return fmt.Errorf("make image: %w", err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	if img, err = mutate.ConfigFile(img, config); err != nil {
		return fmt.Errorf("make image: %w", err)
	}
	to, err := name.ParseReference(p.gun.Reference().WithTag(tag).String())
	if err != nil {
		return fmt.Errorf("push image: %w", err)
	}
	if err := remote.Write(to, img, remote.WithContext(ctx)); err != nil {
		return fmt.Errorf("push image: %w", err)
	}
	return nil
}

// signing measures one command that signs many images.
func (b *bench) signing(ctx context.Context) ([]row, error) {
	p, err := b.newPublisher(ctx, "many")
	if err != nil {
		return nil, err
	}
	base, err := random.Image(5_000_000, 2)
	if err != nil {
		return nil, fmt.Errorf("make image: %w", err)
	}
	var tags []string
	for i := range signTags {
		tags = append(tags, "v"+strconv.Itoa(i))
		if err := p.push(ctx, base, tags[i]); err != nil {
			return nil, err
		}
	}
	s, err := p.sign(ctx, tags...)
	return []row{{fmt.Sprintf("sign %d tags in one command", signTags), s.wall.Round(10 * time.Millisecond).String(), "< 10 s"}}, err
}

// bins measures what a reader who was up to date moves for one changed tag among
// many: every byte of the process's connections, TLS included.
func (b *bench) bins(ctx context.Context) ([]row, error) {
	p, err := b.newPublisher(ctx, "large")
	if err != nil {
		return nil, err
	}
	if err := p.signInvented(ctx, binTags); err != nil {
		return nil, err
	}
	reader, err := p.newReader()
	if err != nil {
		return nil, err
	}
	base, err := random.Image(100, 1)
	if err != nil {
		return nil, fmt.Errorf("make image: %w", err)
	}
	var moved int64
	for range 2 { // the second is measured
		if err := p.push(ctx, base, "changed"); err != nil {
			return nil, err
		}
		if _, err := p.sign(ctx, "changed"); err != nil {
			return nil, err
		}
		before := b.registry.moved.Load()
		if _, err := p.verify(ctx, reader, "changed"); err != nil {
			return nil, err
		}
		moved = b.registry.moved.Load() - before
	}
	return []row{{fmt.Sprintf("verify one changed tag of %d, bytes moved", binTags), fmt.Sprintf("%.1f KiB", float64(moved)/1024), "< 64 KiB"}}, nil
}

// signInvented signs n images that nobody ever pushed.
func (p *publisher) signInvented(ctx context.Context, n int) error {
	settings := app.Settings{Data: p.data}
	if err := settings.Fill(); err != nil {
		return err
	}
	services, err := settings.Trust(nil).Publisher(ctx, p.gun, nil, false)
	if err != nil {
		return err
	}
	defer func() { _ = services.Close() }()
	images := make([]trust.Image, n)
	for i := range images {
		d := func(what string) ref.Digest {
			sum := sha256.Sum256([]byte(what + strconv.Itoa(i)))
			return ref.Digest("sha256:" + hex.EncodeToString(sum[:]))
		}
		images[i] = trust.Image{
			Tag: fmt.Sprintf("1.%d.%d-alpine3.20", i/100, i%100), Digest: d("index"), Size: 1000, MediaType: "application/vnd.oci.image.index.v1+json",
			Platforms: []trust.Platform{
				{Platform: "linux/amd64", Manifest: d("amd64"), Size: 2000, Config: d("config"), ChainID: d("chain")},
				{Platform: "linux/arm64", Manifest: d("arm64"), Size: 2000, Config: d("config arm64"), ChainID: d("chain arm64")},
			},
		}
	}
	return services.Sign(ctx, trust.RoleTargets, images...)
}
