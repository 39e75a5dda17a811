package apk

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan/scantest"
)

const installed = `C:Q1qKcZ+j23xssAXmgQhkOO8dHnbWw=
P:ssl_client
V:1.36.1-r29
A:x86_64
S:4979
I:28672
T:External ssl_client for busybox wget
U:https://busybox.net/
L:GPL-2.0-only
o:busybox
m:Jane Doe <jane@example.org>
D:so:libc.musl-x86_64.so.1
F:usr
F:usr/bin
R:ssl_client
a:0:0:755
Z:Q1WOhxrIBRGCMRZM3BhVHFWnuJeW4=
R:manual.txt
Z:Q1WOhxrIBRGCMRZM3BhVHFWnuJeW4=
F:usr/lib
M:0:0:1777
R:libx.so.1
Z:Q2n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=
R:odd.so
Z:Q3n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=
R:tool
a:0:0:4711:Q1WOhxrIBRGCMRZM3BhVHFWnuJeW4=
Z:Q1short

P:py3-six
V:1.16.0-r9
A:x86_64
L:MIT
F:usr/lib/python3.12/site-packages/six-1.16.0.dist-info
R:METADATA
R:RECORD
`

func TestExtract(t *testing.T) {
	found, err := Extractor{}.Extract(t.Context(), scantest.File("lib/apk/db/installed", []byte(installed)))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"ssl_client 1.36.1-r29 < busybox 1.36.1-r29 (x86_64)", "py3-six 1.16.0-r9 < py3-six 1.16.0-r9 (x86_64)"}
	if diff := cmp.Diff(want, scantest.Summary(found.Components)); diff != "" {
		t.Errorf("components (-want +got):\n%s", diff)
	}
	apk := func(path, pkg, sum string) inventory.Owned {
		return inventory.Owned{Path: path, Package: pkg, Type: inventory.Apk, Sum: sum}
	}
	owned := []inventory.Owned{
		apk("usr/bin/ssl_client", "ssl_client", "sha1:58e871ac805118231164cdc18551c55a7b89796e"),
		apk("usr/lib/libx.so.1", "ssl_client", "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
		apk("usr/lib/odd.so", "ssl_client", ""),
		apk("usr/lib/tool", "ssl_client", ""),
		apk("usr/lib/python3.12/site-packages/six-1.16.0.dist-info/METADATA", "py3-six", ""),
	}
	if diff := cmp.Diff(owned, found.Owned); diff != "" {
		t.Errorf("owned (-want +got):\n%s", diff)
	}
	if got := found.Components[0].Licences; !cmp.Equal(got, []string{"GPL-2.0-only"}) {
		t.Errorf("licences = %q", got)
	}
	if got := found.Components[0].Vendor; got != "Jane Doe <jane@example.org>" {
		t.Errorf("vendor = %q", got)
	}
}

func TestExtractRefuses(t *testing.T) {
	for name, content := range map[string]string{
		"no field":              "P:a\nV:1\nnonsense\n",
		"record without a name": "V:1\n\n",
		"line without an end":   "P:a\nD:" + strings.Repeat("x", lineSize+1),
	} {
		if _, err := (Extractor{}).Extract(t.Context(), scantest.File("lib/apk/db/installed", []byte(content))); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	f := scantest.File("lib/apk/db/installed", nil)
	f.Size = maxSize + 1
	if _, err := (Extractor{}).Extract(t.Context(), f); !fault.Is(err, fault.Invalid) {
		t.Errorf("too large: err = %v, want invalid", err)
	}
}

func TestWants(t *testing.T) {
	for path, want := range map[string]bool{"lib/apk/db/installed": true, "usr/lib/apk/db/installed": true, "x/lib/apk/db/installed": false} {
		if got := scantest.Wants(Extractor{}, path, nil); got != want {
			t.Errorf("Wants(%q) = %v", path, got)
		}
	}
}

func FuzzExtract(f *testing.F) { scantest.Fuzz(f, Extractor{}, "lib/apk/db/installed", installed) }
