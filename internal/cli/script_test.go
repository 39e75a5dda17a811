package cli_test

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/rogpeppe/go-internal/testscript"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"plimsoll/internal/cli"
)

// programs are what scripts find on PATH before the machine's own.
var programs = map[string]func(){}

func TestMain(m *testing.M) {
	programs["plimsoll"] = func() { os.Exit(cli.Main(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
	testscript.Main(m, programs)
}

// TestScripts runs one file per behaviour. Each has a data folder of its own
// ($PLIMSOLL_DATA) and a registry of its own on loopback ($REGISTRY), and may use
// the carried sources of advisories ($ADVISORIES).
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			server := httptest.NewServer(registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0))))
			env.Defer(server.Close)
			env.Setenv("REGISTRY", strings.TrimPrefix(server.URL, "http://"))
			env.Setenv("PLIMSOLL_DATA", filepath.Join(env.WorkDir, "data"))
			env.Setenv("HOME", env.WorkDir)
			advisories, err := filepath.Abs("../../testdata/advisories") // carried with the code
			env.Setenv("ADVISORIES", advisories)
			return err
		},
		Condition: condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"certify":     certify,
			"digestof":    digestof,
			"exitcode":    exitcode,
			"liar":        liar,
			"mklayout":    mklayout,
			"piv":         pivCards,
			"referrersof": referrersof,
			"softhsm":     softhsm,
		},
	})
}

// mklayout DIR LAYER... writes an OCI layout in DIR with one image (linux/amd64)
// whose layers are the tar files LAYER or the contents of the folders LAYER.
func mklayout(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: mklayout DIR LAYER...")
	}
	var layers []string
	for _, arg := range args[1:] {
		layers = append(layers, ts.MkAbs(arg))
	}
	ts.Check(writeLayout(ts.MkAbs(args[0]), layers...))
}

// writeLayout is mklayout for absolute paths.
func writeLayout(dir string, layers ...string) error {
	return writeHistory(dir, make([]string, len(layers)), layers...)
}

// writeHistory is [writeLayout] with what the image says that its layers were made
// by, "" for nothing.
func writeHistory(dir string, by []string, layers ...string) error {
	img := mutate.MediaType(empty.Image, "application/vnd.oci.image.manifest.v1+json")
	img = mutate.ConfigMediaType(img, "application/vnd.oci.image.config.v1+json")
	config, err := img.ConfigFile()
	if err != nil {
		return err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	if img, err = mutate.ConfigFile(img, config); err != nil {
		return err
	}
	for i, path := range layers {
		file, err := tarOf(path)
		if err != nil {
			return err
		}
		layer, err := tarball.LayerFromFile(file, tarball.WithMediaType("application/vnd.oci.image.layer.v1.tar+gzip"))
		if err != nil {
			return err
		}
		if img, err = mutate.Append(img, mutate.Addendum{Layer: layer, History: v1.History{CreatedBy: by[i]}}); err != nil {
			return err
		}
	}
	p, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	return p.AppendImage(img, layout.WithPlatform(v1.Platform{OS: "linux", Architecture: "amd64"}))
}

// tarOf returns path if it is a file, or a tar file of the folder's content with
// root as owner.
func tarOf(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return path, err
	}
	f, err := os.Create(path + ".tar")
	if err != nil {
		return "", err
	}
	w := tar.NewWriter(f)
	return f.Name(), errors.Join(w.AddFS(os.DirFS(path)), w.Close(), f.Close())
}
