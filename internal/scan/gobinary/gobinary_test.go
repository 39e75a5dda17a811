package gobinary

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
	"plimsoll/internal/scan/scantest"
)

// build makes a program of one module that needs another, replaced by a folder.
func build(t testing.TB, goos string, flags ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{
		"go.mod":     "module example.com/team/app\n\ngo 1.21\n\nrequire example.com/dep v1.2.3\n\nreplace example.com/dep => ./dep\n",
		"main.go":    "package main\n\nimport \"example.com/dep\"\n\nfunc main() { println(dep.Word) }\n",
		"dep/go.mod": "module example.com/dep\n",
		"dep/dep.go": "package dep\n\nvar Word = \"x\"\n",
	}
	for name, content := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "renamed")
	args := append(append([]string{"build", "-o", out}, flags...), ".")
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=mod", "GOPROXY=off", "GOOS="+goos, "GOARCH=amd64")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, b)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestExtract(t *testing.T) {
	want := []string{"stdlib " + strings.TrimPrefix(strings.Fields(runtime.Version())[0], "go"), "example.com/team/app", "example.com/dep v1.2.3"}
	for _, test := range []struct {
		name, goos string
		flags      []string
	}{
		{"plain", "linux", nil},
		{"stripped", "linux", []string{"-trimpath", "-ldflags=-s -w -buildid="}},
		{"windows", "windows", []string{"-ldflags=-s -w"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := build(t, test.goos, test.flags...)
			if !scantest.Wants(Extractor{}, "opt/data.bin", b) {
				t.Error("the program is not wanted")
			}
			found, err := Extractor{}.Extract(t.Context(), scantest.File("opt/data.bin", b))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, scantest.Summary(found.Components)); diff != "" {
				t.Errorf("components (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNotGo(t *testing.T) {
	elf := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 300)...)
	found, err := Extractor{}.Extract(t.Context(), scantest.File("x", elf))
	if err != nil || !found.Empty() {
		t.Errorf("found %v, %v in a file that Go did not build", found, err)
	}
}

func TestDamagedBuildInfoIsNotSilence(t *testing.T) {
	for _, at := range []int{512, 64<<10 - 16, 64 << 10, 1 << 20} {
		b := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 2<<20)...)
		copy(b[at:], magic)
		if _, err := (Extractor{}).Extract(t.Context(), scantest.File("x", b)); !fault.Is(err, fault.Invalid) {
			t.Errorf("magic at %d: err = %v, want invalid", at, err)
		}
	}
}

func TestWants(t *testing.T) {
	pad := strings.Repeat("\x00", 64)
	for head, want := range map[string]bool{
		"\x7fELF" + pad: true, "MZ" + pad: true, "\xcf\xfa\xed\xfe" + pad: true, "\xca\xfe\xba\xbe\x00\x00\x00\x02" + pad: true,
		"\xca\xfe\xba\xbe\x00\x00\x00\x3d" + pad: false, "#!/bin/sh" + pad: false, "\x7fELF": false, "": false,
	} {
		if got := scantest.Wants(Extractor{}, "x", []byte(head)); got != want {
			t.Errorf("Wants(%q) = %v", head, got)
		}
	}
}

func TestToolchain(t *testing.T) {
	for in, want := range map[string]string{"go1.26.1": "1.26.1", "go1.22.3 X:boringcrypto": "1.22.3", "devel go1.27-3f2a1b Mon": "1.27-3f2a1b", "": ""} {
		if got := toolchain(in); got != want {
			t.Errorf("toolchain(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzExtract(f *testing.F) {
	b := build(f, "linux", "-trimpath", "-ldflags=-s -w")
	scantest.Fuzz(f, Extractor{}, "x", string(b[:64<<10]), "\x7fELF\x02\x01\x01", "MZ", "\xcf\xfa\xed\xfe")
}
