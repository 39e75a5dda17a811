package graal

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
	"plimsoll/internal/scan/scantest"
)

const base = 0x400000

// program makes an ELF program that exports the two symbols, as native-image does:
// with program headers only, as if it were stripped.
func program(packed []byte, length uint64) []byte {
	names := "\x00sbom\x00sbom_length\x00"
	const headers = 64 + 2*56
	const dynamicSize, symbolsSize = 5 * 16, 3 * 24
	symbols := uint64(headers + dynamicSize)
	texts := symbols + symbolsSize
	number := texts + uint64(len(names))
	content := number + 8
	var b bytes.Buffer
	put := func(v any) { _ = binary.Write(&b, binary.LittleEndian, v) } // a buffer does not fail
	put(elf.Header64{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_DYN), Machine: uint16(elf.EM_X86_64), Version: 1, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 2,
	})
	total := content + uint64(len(packed))
	put(elf.Prog64{Type: uint32(elf.PT_LOAD), Vaddr: base, Filesz: total, Memsz: total})
	put(elf.Prog64{Type: uint32(elf.PT_DYNAMIC), Off: headers, Vaddr: base + headers, Filesz: dynamicSize})
	put([]elf.Dyn64{
		{Tag: int64(elf.DT_SYMTAB), Val: base + symbols},
		{Tag: int64(elf.DT_STRTAB), Val: base + texts},
		{Tag: int64(elf.DT_STRSZ), Val: uint64(len(names))},
		{Tag: int64(elf.DT_SYMENT), Val: 24},
		{},
	})
	put([]elf.Sym64{{}, {Name: 1, Shndx: 1, Value: base + content}, {Name: 6, Shndx: 1, Value: base + number}})
	b.WriteString(names)
	put(length)
	b.Write(packed)
	return b.Bytes()
}

func pack(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const inventoryText = `{"bomFormat":"CycloneDX","specVersion":"1.4","components":[
	{"type":"library","group":"io.micronaut","name":"micronaut-core","version":"4.2.0","purl":"pkg:maven/io.micronaut/micronaut-core@4.2.0"},
	{"type":"library","group":"org.yaml","name":"snakeyaml","version":"2.0","components":[{"name":"inner","version":"1"}]},
	{"type":"library","version":"3"}]}`

func TestExtract(t *testing.T) {
	packed := pack(t, inventoryText)
	found, err := Extractor{}.Extract(t.Context(), scantest.File("app", program(packed, uint64(len(packed)))))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"io.micronaut/micronaut-core 4.2.0", "org.yaml/snakeyaml 2.0", "inner 1"}
	if diff := cmp.Diff(want, scantest.Summary(found.Components)); diff != "" {
		t.Errorf("components (-want +got):\n%s", diff)
	}
}

func TestWants(t *testing.T) {
	elfFile := "\x7fELF\x02\x01\x01"
	if scantest.Wants(Extractor{}, "app", []byte(elfFile+strings.Repeat("\x00", 1000))) {
		t.Error("a small program is wanted")
	}
	if !scantest.Wants(Extractor{}, "app", []byte(elfFile+strings.Repeat("\x00", minImage))) {
		t.Error("a large program is not wanted")
	}
}

// TestHostile: symbols that point nowhere, lengths that lie, bombs and nests are
// refused, each with its reason.
func TestHostile(t *testing.T) {
	packed := pack(t, inventoryText)
	bomb := pack(t, strings.Repeat(" ", maxUnpacked+1))
	nest := pack(t, strings.Repeat(`{"components":[{"name":"a","components":[`, 20)+strings.Repeat(`]}]}`, 20))
	for name, content := range map[string][]byte{
		"a length beyond the file": program(packed, uint64(len(packed))+1),
		"a length beyond all":      program(packed, 1<<63),
		"not packed":               program([]byte("{}"), 2),
		"cut short":                program(packed[:40], 40),
		"bomb":                     program(bomb, uint64(len(bomb))),
		"components in each other": program(nest, uint64(len(nest))),
		"a symbol beyond the file": program(packed, uint64(len(packed)))[:64+2*56+5*16+3*24+18],
	} {
		if _, err := (Extractor{}).Extract(t.Context(), scantest.File("x", content)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: err = %v, want invalid", name, err)
		}
	}
}

func TestNoNativeImage(t *testing.T) {
	found, err := Extractor{}.Extract(t.Context(), scantest.File("x", []byte("\x7fELF\x02\x01\x01"+strings.Repeat("\x00", 500))))
	if err != nil || !found.Empty() {
		t.Errorf("found %v, %v", found.Components, err)
	}
}

func FuzzExtract(f *testing.F) {
	packed := pack(f, inventoryText)
	scantest.Fuzz(f, Extractor{}, "x", string(program(packed, uint64(len(packed)))), "\x7fELF\x02\x01\x01")
}
