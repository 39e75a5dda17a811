package cli_test

import (
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/rogpeppe/go-internal/testscript"
)

// digestof IMAGE sets DIGEST to what a registry holds under a tag.
func digestof(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: digestof IMAGE")
	}
	d, err := remote.Get(registryName(ts, args[0]))
	ts.Check(err)
	ts.Setenv("DIGEST", d.Digest.String())
}

// liar IMAGE pushes an image whose config claims another layer than it has.
func liar(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: liar IMAGE")
	}
	img, err := random.Image(100, 1)
	ts.Check(err)
	config, err := img.ConfigFile()
	ts.Check(err)
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	config.RootFS.DiffIDs[0] = v1.Hash{Algorithm: "sha256", Hex: "0000000000000000000000000000000000000000000000000000000000000000"}
	img, err = mutate.ConfigFile(img, config)
	ts.Check(err)
	ts.Check(remote.Write(registryName(ts, args[0]), img))
}

func registryName(ts *testscript.TestScript, image string) name.Reference {
	r, err := name.ParseReference(image, name.Insecure)
	ts.Check(err)
	return r
}
