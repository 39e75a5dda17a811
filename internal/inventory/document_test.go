package inventory_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
	"github.com/package-url/packageurl-go"

	"plimsoll/internal/inventory"
)

func sample() *inventory.Inventory {
	const layer = "sha256:9c41000000000000000000000000000000000000000000000000000000000000"
	at := func(path, method string) []inventory.Evidence {
		return []inventory.Evidence{{Layer: layer, Path: path, Method: method}}
	}
	return &inventory.Inventory{
		Image: "registry.example.com/team/app:1", Manifest: "sha256:77ab", Platform: "linux/amd64",
		Created: time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC),
		Distro:  inventory.Distro{ID: "debian", VersionID: "12", Name: "Debian 12"},
		Components: []inventory.Component{
			{
				Kind: inventory.OS, Type: inventory.Deb, Namespace: "debian", Name: "zlib1g", Version: "1:1.2.13.dfsg-1", Arch: "amd64",
				SourceName: "zlib", SourceVersion: "1:1.2.13.dfsg-1", Evidence: at("var/lib/dpkg/status", "dpkg"),
			},
			{Kind: inventory.Application, Type: inventory.Golang, Namespace: "example.com/team", Name: "app", Evidence: at("app", "gobinary")},
			{
				Kind: inventory.Library, Type: inventory.PyPI, Name: "requests", Version: "2.28.1", Licences: []string{"Apache 2.0"},
				Owner: "pkg:deb/debian/python3-requests@2.28.1", Evidence: at("usr/lib/x", "python"),
			},
			{Kind: inventory.Library, Type: inventory.PyPI, Name: "requests", Version: "2.28.1", Evidence: at("opt/x", "python")},
		},
	}
}

func TestPURL(t *testing.T) {
	debian := &inventory.Inventory{Distro: inventory.Distro{ID: "debian", VersionID: "12"}}
	fedora := &inventory.Inventory{Distro: inventory.Distro{ID: "fedora"}}
	for _, test := range []struct {
		v    *inventory.Inventory
		c    inventory.Component
		want string
	}{
		{
			debian,
			inventory.Component{Kind: inventory.OS, Type: inventory.Deb, Namespace: "debian", Name: "libstdc++6", Version: "12.2.0-14+b1", Arch: "amd64"},
			"pkg:deb/debian/libstdc%2B%2B6@12.2.0-14%2Bb1?arch=amd64&distro=debian-12",
		},
		{
			fedora,
			inventory.Component{Kind: inventory.OS, Type: inventory.RPM, Namespace: "fedora", Name: "bash", Version: "1:5.1-2", Arch: "x86_64"},
			"pkg:rpm/fedora/bash@5.1-2?arch=x86_64&distro=fedora&epoch=1",
		},
		{debian, inventory.Component{Kind: inventory.Library, Type: inventory.NPM, Namespace: "@s", Name: "a", Version: "1"}, "pkg:npm/%40s/a@1"},
		{debian, inventory.Component{Kind: inventory.Library, Type: inventory.Golang, Namespace: "golang.org/x", Name: "net", Version: "v0.7.0"}, "pkg:golang/golang.org/x/net@v0.7.0"},
		{debian, inventory.Component{Kind: inventory.Library, Type: inventory.PyPI, Name: "zope-interface", Version: "6.0"}, "pkg:pypi/zope-interface@6.0"},
	} {
		got := test.v.PURL(&test.c)
		if got != test.want {
			t.Errorf("PURL(%s) = %q, want %q", test.c.Name, got, test.want)
		}
		if _, err := packageurl.FromString(got); err != nil {
			t.Errorf("%q cannot be parsed: %v", got, err)
		}
	}
}

func TestCycloneDX(t *testing.T) {
	v := sample()
	b := written(t, v.WriteCycloneDX)
	bom := new(cdx.BOM)
	if err := cdx.NewBOMDecoder(bytes.NewReader(b), cdx.BOMFileFormatJSON).Decode(bom); err != nil {
		t.Fatal(err)
	}
	if bom.SpecVersion != cdx.SpecVersion1_6 || bom.Metadata.Timestamp != "2026-01-02T03:04:05Z" {
		t.Errorf("version %v, timestamp %q", bom.SpecVersion, bom.Metadata.Timestamp)
	}
	refs := map[string]bool{}
	for _, c := range *bom.Components {
		if refs[c.BOMRef] {
			t.Errorf("bom-ref %q is there twice", c.BOMRef)
		}
		refs[c.BOMRef] = true
	}
	if n := len(*bom.Components); n != 1+len(v.Components) {
		t.Errorf("%d components, want those of the inventory and the distribution", n)
	}
	if got := (*bom.Compositions)[0].Aggregate; got != cdx.CompositionAggregateUnknown {
		t.Errorf("composition = %q", got)
	}
}

func TestSPDX(t *testing.T) {
	var doc struct {
		SPDXVersion   string
		SPDXID        string
		Packages      []struct{ SPDXID, Name, SourceInfo string }
		Relationships []struct{ RelationshipType, RelatedSpdxElement string }
	}
	if err := json.Unmarshal(written(t, sample().WriteSPDX), &doc); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range doc.Packages {
		names = append(names, p.SPDXID+" "+p.Name)
	}
	want := []string{
		"SPDXRef-Image registry.example.com/team/app:1", "SPDXRef-Package-0 zlib1g", "SPDXRef-Package-1 example.com/team/app",
		"SPDXRef-Package-2 requests", "SPDXRef-Package-3 requests",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("packages (-want +got):\n%s", diff)
	}
	if len(doc.Relationships) != len(names) || doc.Relationships[0].RelationshipType != "DESCRIBES" {
		t.Errorf("relationships = %+v", doc.Relationships)
	}
	if got := doc.Packages[1].SourceInfo; !strings.Contains(got, "dpkg in layer 0") {
		t.Errorf("sourceInfo = %q", got)
	}
}

func TestEqualInputGivesEqualBytes(t *testing.T) {
	for name, write := range writers() {
		first, second := written(t, write(sample())), written(t, write(sample()))
		if !bytes.Equal(first, second) {
			t.Errorf("%s: two documents of one inventory differ", name)
		}
		other := sample()
		other.Manifest = "sha256:c0de"
		if uuids(first) == uuids(written(t, write(other))) {
			t.Errorf("%s: documents of two images have one name", name)
		}
	}
}

func uuids(b []byte) string {
	_, after, _ := strings.Cut(string(b), "urn:uuid:")
	return after[:min(36, len(after))]
}

func writers() map[string]func(*inventory.Inventory) func(w io.Writer) error {
	return map[string]func(*inventory.Inventory) func(w io.Writer) error{
		"CycloneDX": func(v *inventory.Inventory) func(io.Writer) error { return v.WriteCycloneDX },
		"SPDX":      func(v *inventory.Inventory) func(io.Writer) error { return v.WriteSPDX },
	}
}

func TestUnreadablePartsAreInTheDocument(t *testing.T) {
	v := sample()
	v.Unreadable = []inventory.Unreadable{{Layer: "sha256:1", Index: 3, Path: "a/b", Reason: "cut short"}}
	for name, write := range writers() {
		if b := string(written(t, write(v))); !strings.Contains(b, "cut short") {
			t.Errorf("%s: does not say what could not be read", name)
		}
	}
	if !strings.Contains(string(written(t, v.WriteCycloneDX)), `"aggregate": "incomplete"`) {
		t.Error("CycloneDX: not declared incomplete")
	}
}

func TestTimestampOfNonsenseIsTheEpoch(t *testing.T) {
	v := sample()
	for _, created := range []time.Time{{}, time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)} {
		v.Created = created
		if b := string(written(t, v.WriteSPDX)); !strings.Contains(b, `"created": "1970-01-01T00:00:00Z"`) {
			t.Errorf("created %v: the timestamp is not the epoch", created)
		}
	}
}

func TestWriterErrorsArePassedOn(t *testing.T) {
	for name, write := range writers() {
		if err := write(sample())(full{}); !errors.Is(err, errFull) {
			t.Errorf("%s: err = %v, want that of the writer", name, err)
		}
	}
}

var errFull = errors.New("disk full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

func written(t *testing.T, write func(w io.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func ExampleInventory_PURL() {
	v := &inventory.Inventory{Distro: inventory.Distro{ID: "alpine", VersionID: "3.19.1"}}
	fmt.Fprintln(os.Stdout, v.PURL(&inventory.Component{Kind: inventory.OS, Type: inventory.Apk, Namespace: "alpine", Name: "musl", Version: "1.2.4-r2", Arch: "x86_64"}))
	// Output: pkg:apk/alpine/musl@1.2.4-r2?arch=x86_64&distro=alpine-3.19.1
}

// TestWhatLayersTookAwayIsNoEvidence: a document does not name the removed copy
// of what is still there elsewhere.
func TestWhatLayersTookAwayIsNoEvidence(t *testing.T) {
	for name, of := range writers() {
		t.Run(name, func(t *testing.T) {
			v := sample()
			e := v.Components[0].Evidence[0]
			e.Path, e.End = "gone/with/a/layer", &inventory.End{Index: e.Index + 1, How: "removed"}
			v.Components[0].Evidence = append(v.Components[0].Evidence, e)
			if b := written(t, of(v)); bytes.Contains(b, []byte(e.Path)) {
				t.Errorf("%q is in the document", e.Path)
			}
		})
	}
}
