package exe

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSniff(t *testing.T) {
	pad := strings.Repeat("\x00", 64)
	for head, want := range map[string]Format{
		"\x7fELF" + pad:                          ELF,
		"MZ" + pad:                               PE,
		"\xcf\xfa\xed\xfe" + pad:                 MachO,
		"\xca\xfe\xba\xbe\x00\x00\x00\x02" + pad: MachO,
		"\xca\xfe\xba\xbe\x00\x00\x00\x3d" + pad: None, // a Java class
		"\x00asm\x01\x00\x00\x00":                Wasm,
		"#!/bin/sh\n" + pad:                      None,
		"MZ":                                     None,
		"":                                       None,
	} {
		if got := Sniff([]byte(head)); got != want {
			t.Errorf("Sniff(%.12q) = %v, want %v", head, got, want)
		}
	}
}

// machine returns the ELF programs and libraries of the machine that the tests
// run on, at most n.
func machine(t *testing.T, n int) (paths []string) {
	t.Helper()
	for _, pattern := range []string{"/usr/bin/*", "/usr/lib/*/*.so*", "/lib/*.so*"} {
		all, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range all {
			if f, err := elf.Open(p); err == nil {
				_ = f.Close() // it was only read
				paths = append(paths, p)
			}
		}
	}
	if len(paths) == 0 && os.Getenv("CI") == "true" {
		t.Fatal("the machine has no ELF files in the usual folders")
	}
	step := max(1, len(paths)/n)
	for i := range len(paths) / step {
		paths[i] = paths[i*step]
	}
	return paths[:len(paths)/step]
}

// TestAgainstStandardLibrary compares what is read with what Go's own reader says
// of real files.
func TestAgainstStandardLibrary(t *testing.T) {
	for _, path := range machine(t, 200) {
		content, err := os.ReadFile(path)
		if err != nil {
			continue // not ours to read
		}
		oracle, err := elf.NewFile(bytes.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		needed, err := oracle.ImportedLibraries()
		if err != nil {
			t.Fatal(err)
		}
		soname, err := oracle.DynString(elf.DT_SONAME)
		if err != nil {
			t.Fatal(err)
		}
		got := Read(bytes.NewReader(content), int64(len(content)))
		if diff := cmp.Diff(needed, got.Needed); diff != "" && len(needed)+len(got.Needed) > 0 {
			t.Errorf("%s: needed (-want +got):\n%s", path, diff)
		}
		if s := strings.Join(soname, ""); s != got.Soname {
			t.Errorf("%s: soname %q, want %q", path, got.Soname, s)
		}
		if s := oracle.Section(".note.gnu.build-id"); s != nil {
			if b, err := s.Data(); err != nil || !bytes.HasSuffix(b, got.BuildID) || len(got.BuildID) < 8 {
				t.Errorf("%s: build ID %x, want the end of %x, %v", path, got.BuildID, b, err)
			}
		}
		compareSymbols(t, path, oracle, got)
	}
}

func compareSymbols(t *testing.T, path string, oracle *elf.File, got *Info) {
	t.Helper()
	symbols, err := oracle.DynamicSymbols()
	if err != nil {
		return // it has none
	}
	for i := 0; i < len(symbols); i += 1 + len(symbols)/7 {
		name := symbols[i].Name
		defined := slices.ContainsFunc(symbols, func(s elf.Symbol) bool { return s.Name == name && s.Section != elf.SHN_UNDEF })
		if got.Exports(name) != defined {
			t.Errorf("%s: Exports(%q) = %v, want %v", path, name, !defined, defined)
		}
		if got.Imports(name) == defined {
			t.Errorf("%s: Imports(%q) = %v, want %v", path, name, defined, !defined)
		}
	}
}

// TestWithoutSections: the loader needs no section table, and neither do we.
func TestWithoutSections(t *testing.T) {
	for _, path := range machine(t, 5) {
		content, err := os.ReadFile(path)
		if err != nil || content[elf.EI_CLASS] != byte(elf.ELFCLASS64) {
			continue
		}
		want := Read(bytes.NewReader(content), int64(len(content)))
		binary.LittleEndian.PutUint64(content[40:], 0) // e_shoff
		binary.LittleEndian.PutUint32(content[60:], 0) // e_shnum, e_shstrndx
		got := Read(bytes.NewReader(content), int64(len(content)))
		if len(got.sections) > 0 {
			t.Errorf("%s: it has sections without a table", path)
		}
		if diff := cmp.Diff([]any{want.Needed, want.Soname, want.BuildID}, []any{got.Needed, got.Soname, got.BuildID}); diff != "" {
			t.Errorf("%s (-with +without sections):\n%s", path, diff)
		}
	}
}

// build compiles a Go program for another system: the only real files of those
// formats that can be had everywhere.
func build(t testing.TB, goos, goarch string) []byte {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.com/x\n\ngo 1.21\n", "main.go": "package main\n\nfunc main() {}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", "x", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch)
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, b)
	}
	b, err := os.ReadFile(filepath.Join(dir, "x"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestOtherFormats(t *testing.T) {
	for _, test := range []struct {
		goos, goarch, needs, section string
		format                       Format
	}{
		{"windows", "amd64", "kernel32.dll", ".text", PE},
		{"darwin", "arm64", "/usr/lib/libSystem.B.dylib", "__text", MachO},
		{"wasip1", "wasm", "", "producers", Wasm},
	} {
		t.Run(test.goos, func(t *testing.T) {
			b := build(t, test.goos, test.goarch)
			got := Read(bytes.NewReader(b), int64(len(b)))
			if got.Format != test.format || test.needs != "" && !slices.Contains(got.Needed, test.needs) {
				t.Errorf("format %v needs %q, want %v and %q", got.Format, got.Needed, test.format, test.needs)
			}
			if r, ok := got.Section(test.section); !ok || r.Size == 0 || r.Offset+r.Size > int64(len(b)) {
				t.Errorf("section %s: %v, %v", test.section, r, ok)
			}
		})
	}
}

// TestLies: counts, sizes and offsets that no file has end the reading, nothing
// more.
func TestLies(t *testing.T) {
	head := elf.Header64{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), 1},
		Phoff: 64, Phentsize: 56, Phnum: 2, Shoff: 64, Shentsize: 64, Shnum: 0xfffe, Shstrndx: 0xfff0,
	}
	lie := func(p elf.Prog64) []byte {
		var b bytes.Buffer
		_ = binary.Write(&b, binary.LittleEndian, head) // a buffer does not fail
		_ = binary.Write(&b, binary.LittleEndian, []elf.Prog64{{Type: uint32(elf.PT_LOAD), Filesz: 1 << 62, Off: 1 << 62}, p})
		return b.Bytes()
	}
	for name, b := range map[string][]byte{
		"dynamic beyond the file": lie(elf.Prog64{Type: uint32(elf.PT_DYNAMIC), Off: 1 << 63, Filesz: 1 << 63}),
		"dynamic over all":        lie(elf.Prog64{Type: uint32(elf.PT_DYNAMIC), Filesz: ^uint64(0)}),
		"note beyond the file":    lie(elf.Prog64{Type: uint32(elf.PT_NOTE), Off: ^uint64(0), Filesz: 12}),
		"cut in the header":       lie(elf.Prog64{})[:60],
		"only the magic":          []byte("\x7fELF\x02\x01\x01\x00"),
		"no such order":           []byte("\x7fELF\x02\x09\x01" + strings.Repeat("\x00", 60)),
		"PE far away":             []byte("MZ" + strings.Repeat("\xff", 62)),
		"Mach-O commands":         []byte("\xcf\xfa\xed\xfe" + strings.Repeat("\xff", 60)),
		"fat Mach-O":              []byte("\xca\xfe\xba\xbe\x00\x00\x00\x01" + strings.Repeat("\xff", 60)),
		"wasm sizes":              []byte("\x00asm\x01\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
	} {
		got := Read(bytes.NewReader(b), int64(len(b)))
		if len(got.Needed) > 0 || got.Soname != "" || got.Exports("main") || got.Package() != nil {
			t.Errorf("%s: read %+v", name, got)
		}
	}
}

func FuzzRead(f *testing.F) {
	if b, err := os.ReadFile("/bin/true"); err == nil {
		f.Add(b)
	}
	f.Add([]byte("MZ" + strings.Repeat("\x00", 58) + "\x40\x00\x00\x00PE\x00\x00" + strings.Repeat("\x00", 300)))
	f.Add([]byte("\xcf\xfa\xed\xfe" + strings.Repeat("\x01\x00\x00\x00", 30)))
	f.Add([]byte("\x00asm\x01\x00\x00\x00\x00\x05\x04name"))
	f.Fuzz(func(t *testing.T, b []byte) {
		i := Read(bytes.NewReader(b), int64(len(b)))
		i.Exports("main")
		if r, ok := i.Section(".text"); ok && r.Size < 0 {
			t.Errorf("a section of %d bytes", r.Size)
		}
		if p := i.Package(); len(p) > len(b) {
			t.Errorf("a note of %d bytes in %d", len(p), len(b))
		}
	})
}
