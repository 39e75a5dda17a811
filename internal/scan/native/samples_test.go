package native

import (
	"os"
	"path/filepath"
	"testing"

	"plimsoll/internal/inventory"
	"plimsoll/internal/scan/scantest"
)

// TestSamples: every product is recognised, in its right version, in every
// excerpt that its entry names, whatever the file is called.
func TestSamples(t *testing.T) {
	products := products(t)
	for i := range products {
		p := &products[i]
		for _, s := range p.Samples {
			t.Run(p.Product+"/"+s.Version, func(t *testing.T) {
				content, ok := excerpt(t, &s)
				if !ok {
					t.Skip("the public snippets are not beside the repository")
				}
				checkSample(t, p, &s, content)
			})
		}
	}
}

func checkSample(t *testing.T, p *Product, s *Sample, content []byte) {
	t.Helper()
	found, err := extractor(t).Extract(t.Context(), scantest.File("opt/data.bin", wrap(content, s.Needs, s.Soname)))
	if err != nil {
		t.Fatal(err)
	}
	u, err := p.purl()
	if err != nil {
		t.Fatal(err)
	}
	want := inventory.Contains
	if s.Relation != "" {
		want = inventory.Relation(s.Relation)
	}
	for _, c := range found.Components {
		if c.Name != u.Name && (p.Debian == "" || c.Name != p.Debian) {
			continue
		}
		full := c.Version == s.Distro && s.Distro != ""
		if (full || c.Version == s.Version) && c.Relation == want {
			return
		}
	}
	t.Errorf("found %q (relations %v), want %s %s, which the file %s", scantest.Summary(found.Components), relations(found.Components), u.Name, s.Version, want)
}

func relations(all []inventory.Component) (out []inventory.Relation) {
	for _, c := range all {
		out = append(out, c.Relation)
	}
	return out
}

// excerpt returns the bytes of a sample; ok is false if it is a public snippet
// and those are not at hand.
func excerpt(t *testing.T, s *Sample) (content []byte, ok bool) {
	t.Helper()
	if s.Snippet != "" {
		all := snippets(t)
		content, ok := all["snippets/"+s.Snippet]
		if len(all) > 0 && !ok {
			t.Fatalf("there is no snippet %q", s.Snippet)
		}
		return content, ok
	}
	if s.Package == "" || s.Path == "" || len(s.SHA256) != 64 || s.Licence == "" {
		t.Errorf("sample %q: package, path, sha256 and licence say where it comes from", s.File)
	}
	content, err := os.ReadFile(filepath.Join("testdata", "samples", filepath.Base(s.File)))
	if err != nil {
		t.Fatal(err)
	}
	return content, true
}

// TestEverySampleIsNamed: an excerpt that no entry names tests nothing.
func TestEverySampleIsNamed(t *testing.T) {
	products := products(t)
	named := map[string]bool{"README.md": true}
	for i := range products {
		for _, s := range products[i].Samples {
			named[s.File] = true
		}
	}
	entries, err := os.ReadDir(filepath.Join("testdata", "samples"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !named[e.Name()] {
			t.Errorf("no product names the sample %q", e.Name())
		}
	}
}
