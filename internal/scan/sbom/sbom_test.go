package sbom

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/inventory"
	"plimsoll/internal/scan/scantest"
)

func testdata(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// lines returns "type namespace/name version" of components and, behind each
// that claims files, the files.
func lines(f *inventory.Found) (out []string) {
	summary := scantest.Summary(f.Components)
	for i, c := range f.Components {
		var line strings.Builder
		line.WriteString(string(c.Type) + " " + summary[i])
		for _, claim := range f.Claimed {
			if diff := cmp.Diff(claim.Component, c); diff != "" {
				continue
			}
			for _, o := range claim.Files {
				line.WriteString(" " + strings.TrimSpace(o.Path+" "+o.Sum))
			}
		}
		out = append(out, line.String())
	}
	return out
}

func TestExtract(t *testing.T) {
	const sum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	for _, test := range []struct {
		name, path, content string
		want                []string
	}{
		{"Bitnami, tags", "opt/bitnami/redis/.spdx-redis.spdx", testdata(t, "redis.spdx"), []string{"bitnami redis 7.4.1-0"}},
		{"Docker's hardened images", "opt/docker/sbom/.spdx.python.json", testdata(t, "python.spdx.json"), []string{"dhi python 3.14.3"}},
		{"nested", "app/nested.cdx.json", testdata(t, "nested.cdx.json"), []string{"generic openssl 1.1.1", "cargo rustls 0.23.13", "generic Nginx 1.21.1"}},
		{"XML", "app/bom.xml", testdata(t, "sbom.cdx.xml"), []string{"generic openssl 1.1.1", "generic Nginx 1.21.1"}},
		{"with occurrences", "app/bom.json", testdata(t, "locations.cdx.json"), []string{
			"npm @gar/promisify 1.1.3 home/test/.vscode-server/bin/node_modules/@gar/promisify/package.json usr/lib/node_modules/@gar/promisify/package.json",
		}},
		{
			"Syft's and Trivy's properties", "bom.json", `{"bomFormat": "CycloneDX", "metadata": {"component": {"name": "x", "purl": "pkg:npm/x@1"}}, "components": [
			{"type": "library", "purl": "pkg:deb/debian/zlib1g@1.2?arch=amd64", "properties": [{"name": "syft:location:0:path", "value": "/var/lib/dpkg/status"}, {"name": "syft:x", "value": "/y"}]},
			{"type": "library", "purl": "pkg:pypi/A_b@1", "properties": [{"name": "aquasecurity:trivy:FilePath", "value": "../x"}]},
			{"type": "file", "name": "/usr/bin/x", "purl": "pkg:generic/x"}, {"type": "operating-system", "name": "debian"}, {"type": "library", "name": "no purl"},
			{"type": "container", "purl": "pkg:oci/x@1"}, {"scope": "excluded", "purl": "pkg:cargo/autocfg@1"}, {"purl": "no purl"}, {"purl": "pkg:rpm/redhat/bash@5.1-1?epoch=2&arch=x86_64"}]}`,
			[]string{"deb debian/zlib1g 1.2 (amd64) var/lib/dpkg/status", "pypi a-b 1", "rpm redhat/bash 2:5.1-1 (x86_64)"},
		},
		{
			"files, in any order", "var/lib/db/sbom/a-1.spdx.json", `{"relationships": [{"spdxElementId": "P", "relationshipType": "CONTAINS", "relatedSpdxElement": "F1"}, {"spdxElementId": "P", "relationshipType": "OTHER", "relatedSpdxElement": "F3"}],
			"files": [{"SPDXID": "F1", "fileName": "/usr/bin/a", "checksums": [{"algorithm": "SHA256", "checksumValue": "` + sum + `"}, {"algorithm": "SHA1", "checksumValue": "00"}]},
			{"SPDXID": "F2", "fileName": "./usr/lib/a.so", "checksums": [{"algorithm": "SHA256", "checksumValue": "short"}]}, {"SPDXID": "F3", "fileName": "usr/bin/b"}, {"SPDXID": "F4", "fileName": "usr/share/a.txt"}],
			"packages": [{"SPDXID": "P", "name": "a", "versionInfo": "1", "hasFiles": ["F2", "F4"], "externalRefs": [{"referenceType": "purl", "referenceLocator": "pkg:apk/wolfi/a@1?arch=x86_64"}]},
			{"SPDXID": "S", "name": "a", "primaryPackagePurpose": "SOURCE", "externalRefs": [{"referenceType": "purl", "referenceLocator": "pkg:generic/a@1"}]}], "spdxVersion": "SPDX-2.3"}`,
			[]string{"apk wolfi/a 1 (x86_64) usr/lib/a.so usr/bin/a sha256:" + sum},
		},
		{
			"files, tags", "x.spdx", "SPDXVersion: SPDX-2.2\nDocumentComment: <text>\nPackageName: no\n</text>\nPackageName: a\nPackageVersion: 1\nExternalRef: PACKAGE-MANAGER purl pkg:pypi/a@1\nFileName: ./bin/a\nFileChecksum: SHA256: " + sum + "\nFileChecksum: MD5: 00\nFileName: x.txt\nPackageName: b\nPrimaryPackagePurpose: CONTAINER\nExternalRef: PACKAGE-MANAGER purl pkg:pypi/b@1\n",
			[]string{"pypi a 1 bin/a sha256:" + sum},
		},
		{
			"SPDX 3", "x.spdx.json", `{"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": [{"type": "software_Package", "name": "a", "software_packageVersion": "1", "software_packageUrl": "pkg:npm/a@1"}, {"type": "Person", "name": "b"}]}`,
			[]string{"npm a 1"},
		},
		{"another document", "app/bom.json", `{"components": [{"purl": "pkg:npm/a@1"}], "packages": []}`, nil},
		{"nothing", "bom.json", "{}", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			if !scantest.Wants(Extractor{}, test.path, []byte(test.content)) {
				t.Error("not wanted")
			}
			found, err := Extractor{}.Extract(t.Context(), scantest.File(test.path, []byte(test.content)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, lines(&found)); diff != "" {
				t.Errorf("components (-want +got):\n%s", diff)
			}
			for _, c := range found.Components {
				if c.Kind == inventory.OS || c.Evidence[0].Confidence != Believed {
					t.Errorf("%s is believed too much: %+v", c.Name, c)
				}
			}
			if len(found.Owned) > 0 {
				t.Errorf("a claim explains files: %v", found.Owned)
			}
		})
	}
}

func TestBitnami(t *testing.T) {
	found, err := Extractor{}.Extract(t.Context(), scantest.File("opt/bitnami/postgresql/.spdx-postgresql.spdx", []byte(testdata(t, "postgresql.spdx"))))
	if err != nil || len(found.Components) != 19 {
		t.Fatalf("%d components, %v", len(found.Components), err)
	}
	c := found.Components[0]
	got := fmt.Sprint(c.Type, c.Name, c.Version, c.CPE, c.Licences)
	if want := "bitnamipostgresql17.2.0-8cpe:2.3:a:postgresql:postgresql:17.2.0:*:*:*:*:*:*:*[PostgreSQL]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestRefuses(t *testing.T) {
	for path, content := range map[string]string{
		"bom.json":        `{"bomFormat": "CycloneDX", "components": ` + strings.Repeat(`[{"components": `, maxNested+2),
		"x.cdx.json":      `{"bomFormat"`,
		"bom.xml":         `<bom xmlns="http://cyclonedx.org/schema/bom/1.4">` + strings.Repeat("<a>", maxNested),
		"half.xml":        `<bom xmlns="http://cyclonedx.org/schema/bom/1.4"><components>`,
		"characters.xml":  `<?xml version="1.0" encoding="latin-1"?><bom/>`,
		"tags.spdx":       "PackageName: a\n",
		"other-json.spdx": `[]`,
	} {
		if _, err := (Extractor{}).Extract(t.Context(), scantest.File(path, []byte(content))); err == nil {
			t.Errorf("%s is taken", path)
		}
	}
}

func TestWants(t *testing.T) {
	for path, want := range map[string]bool{
		"app/node_modules/a/bom.json":                              false,
		"usr/lib/python3/site-packages/a.json":                     false,
		"usr/lib/python3/site-packages/a-1.dist-info/sboms/b.json": true,
		"app/testdata/bom.json":                                    false,
		"app/any.json":                                             true,
	} {
		if got := scantest.Wants(Extractor{}, path, []byte("\xef\xbb\xbf {\n\"bomFormat\"")); got != want {
			t.Errorf("%s: wanted = %v", path, got)
		}
	}
	for path, content := range map[string]string{"a.spdx": "plain text", "a.json": `{"name": "x"}`, "a.xml": "<project/>"} {
		if scantest.Wants(Extractor{}, path, []byte(content)) {
			t.Errorf("%s is wanted", path)
		}
	}
}

func TestCPE(t *testing.T) {
	for in, want := range map[string]string{
		"cpe:2.3:a:nginx:nginx:1.21.1":             "cpe:2.3:a:nginx:nginx:1.21.1:*:*:*:*:*:*:*",
		`cpe:2.3:*:a:b\:c:1:*:*:*:*:*:*:*`:         `cpe:2.3:a:a:b\:c:1:*:*:*:*:*:*:*`,
		"cpe:/a:nginx:nginx":                       "",
		"cpe:2.3:a:b":                              "",
		"cpe:2.3:a:b:c:d:e:f:g:h:i:j:k:l":          "",
		"cpe:2.3:a:b:c:\x1b[2J:*:*:*:*:*:*:*":      "",
		"cpe:2.3:a:vendor:product:1:*:*:*:*:*:*:*": "cpe:2.3:a:vendor:product:1:*:*:*:*:*:*:*",
	} {
		if got := cpe(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func FuzzJSON(f *testing.F) {
	scantest.Fuzz(f, Extractor{}, "bom.json", testdata(f, "nested.cdx.json"), testdata(f, "locations.cdx.json"),
		`{"spdxVersion": "", "files": [{"SPDXID": "F", "fileName": "bin/a"}], "packages": [{"SPDXID": "P", "hasFiles": ["F"], "externalRefs": [{"referenceType": "purl", "referenceLocator": "pkg:npm/a@1"}]}]}`, `{"@graph": [{"type": "software_Package"}]}`)
}

func FuzzXML(f *testing.F) { scantest.Fuzz(f, Extractor{}, "bom.xml", testdata(f, "sbom.cdx.xml")) }

func FuzzTags(f *testing.F) { scantest.Fuzz(f, Extractor{}, "a.spdx", testdata(f, "redis.spdx")) }
