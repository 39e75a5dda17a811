package cargo

import (
	"bytes"
	"compress/zlib"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
	"plimsoll/internal/scan/scantest"
)

func sample(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "uses_json.elf"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestExtract(t *testing.T) {
	b := sample(t)
	if !scantest.Wants(Extractor{}, "opt/data.bin", b) {
		t.Error("the program is not wanted")
	}
	found, err := Extractor{}.Extract(t.Context(), scantest.File("opt/data.bin", b))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"std 1.83.0", "itoa 1.0.14", "memchr 2.7.4", "proc-macro2 1.0.92", "quote 1.0.38", "ryu 1.0.18", "serde 1.0.217",
		"serde_derive 1.0.217", "serde_json 1.0.135", "syn 2.0.95", "unicode-ident 1.0.14", "uses_json 0.1.0",
	}
	if diff := cmp.Diff(want, scantest.Summary(found.Components)); diff != "" {
		t.Errorf("components (-want +got):\n%s", diff)
	}
}

// wasm makes a WebAssembly file with one custom section.
func wasm(name string, content []byte) []byte {
	body := append([]byte{byte(len(name))}, name...)
	body = append(body, content...)
	b := []byte("\x00asm\x01\x00\x00\x00\x00")
	for n := len(body); ; n >>= 7 {
		if n < 0x80 {
			b = append(b, byte(n))
			break
		}
		b = append(b, byte(n)|0x80)
	}
	return append(b, body...)
}

func pack(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWhatOnlyBuiltItIsLeftOut(t *testing.T) {
	list := `{"packages":[{"name":"cc","version":"1.0.0","kind":"build"},{"name":"ring","version":"0.16.20","kind":"runtime"},{"name":"app","version":"0.1.0","root":true}]}`
	found, err := Extractor{}.Extract(t.Context(), scantest.File("x.wasm", wasm(".dep-v0", pack(t, list))))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"ring 0.16.20", "app 0.1.0"}, scantest.Summary(found.Components)); diff != "" {
		t.Errorf("components (-want +got):\n%s", diff)
	}
}

// TestHostile: what is wrong is said, and what a list takes in memory is bounded.
func TestHostile(t *testing.T) {
	bomb := pack(t, strings.Repeat(" ", maxUnpacked+1))
	for name, content := range map[string][]byte{
		"bomb":      wasm(".dep-v0", bomb),
		"no zlib":   wasm(".dep-v0", []byte("{}")),
		"no JSON":   wasm(".dep-v0", pack(t, `{"packages":[`)),
		"cut short": wasm(".dep-v0", pack(t, `{"packages":[{"name":"a","version":"1"}]}`)[:12]),
		"too large": wasm(".dep-v0", make([]byte, maxPacked+1)),
	} {
		found, err := Extractor{}.Extract(t.Context(), scantest.File("x", content))
		if !fault.Is(err, fault.Invalid) || !found.Empty() {
			t.Errorf("%s: found %v, err = %v, want invalid", name, found.Components, err)
		}
	}
}

func TestNoRust(t *testing.T) {
	for _, content := range []string{"\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 100), string(wasm("name", []byte("x"))), "MZ" + strings.Repeat("\xff", 100)} {
		found, err := Extractor{}.Extract(t.Context(), scantest.File("x", []byte(content)))
		if err != nil || !found.Empty() {
			t.Errorf("found %v, %v in %q", found.Components, err, content)
		}
	}
}

func FuzzExtract(f *testing.F) {
	scantest.Fuzz(f, Extractor{}, "x", string(sample(f)), string(wasm(".dep-v0", pack(f, `{"packages":[{"name":"a","version":"1"}]}`))))
}
