package brew

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan/scantest"
)

const (
	cellar  = "home/linuxbrew/.linuxbrew/Cellar/"
	content = `{"homebrew_version": "4.2.0", "built_as_bottle": true, "arch": "x86_64", "source": {"path": "x", "tap": "homebrew/core", "spec": "stable", "versions": {"stable": "1.21.4"}}}`
)

func TestExtract(t *testing.T) {
	const path = cellar + "wget/1.21.4_1/INSTALL_RECEIPT.json"
	for _, test := range []struct{ tap, want string }{{"homebrew/core", ""}, {"acme/tools", "acme/tools"}} {
		found, err := Extractor{}.Extract(t.Context(), scantest.File(path, []byte(strings.Replace(content, "homebrew/core", test.tap, 1))))
		if err != nil {
			t.Fatal(err)
		}
		want := inventory.Found{
			Components: []inventory.Component{{Kind: inventory.Application, Type: inventory.Brew, Namespace: test.want, Name: "wget", Version: "1.21.4_1", Arch: "x86_64"}},
			Owned:      []inventory.Owned{{Path: cellar + "wget/1.21.4_1/", Package: "wget", Type: inventory.Brew}},
		}
		if diff := cmp.Diff(want, found); diff != "" {
			t.Errorf("found (-want +got):\n%s", diff)
		}
	}
}

func TestExtractRefuses(t *testing.T) {
	for name, content := range map[string]string{"nothing": "", "no JSON": "x", "a list": "[]", "too large": `{"a": "` + strings.Repeat("x", maxSize) + `"}`} {
		if _, err := (Extractor{}).Extract(t.Context(), scantest.File(cellar+"a/1/INSTALL_RECEIPT.json", []byte(content))); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: err = %v, want invalid", name, err)
		}
	}
}

func TestWants(t *testing.T) {
	for path, want := range map[string]bool{
		cellar + "wget/1.21.4/INSTALL_RECEIPT.json": true, "opt/homebrew/Cellar/a/1/INSTALL_RECEIPT.json": true,
		"srv/a/1/INSTALL_RECEIPT.json": false, cellar + "wget/INSTALL_RECEIPT.json": false, "INSTALL_RECEIPT.json": false, cellar + "a/1/x.json": false,
	} {
		if got := scantest.Wants(Extractor{}, path, nil); got != want {
			t.Errorf("Wants(%q) = %v", path, got)
		}
	}
}

func FuzzExtract(f *testing.F) {
	scantest.Fuzz(f, Extractor{}, cellar+"wget/1/INSTALL_RECEIPT.json", content)
}
