package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCut(t *testing.T) {
	content := []byte(strings.Repeat("a", 100) + "version 1.2.3" + strings.Repeat("b", 200) + "anchor" + strings.Repeat("c", 20))
	zeros := strings.Repeat("\x00", gap)
	tests := []struct {
		name  string
		texts []string
		round int
		want  string
		err   string
	}{
		{"round one text", []string{"version 1.2.3"}, 26, strings.Repeat("a", 26) + "version 1.2.3" + strings.Repeat("b", 26), ""},
		{"a short text is widened", []string{"1.2.3"}, 0, strings.Repeat("a", 22) + "version 1.2.3" + strings.Repeat("b", 30), ""},
		{
			"in the order of the file, up to its end",
			[]string{"anchor", "version 1.2.3"},
			30,
			strings.Repeat("a", 30) + "version 1.2.3" + strings.Repeat("b", 30) + zeros + strings.Repeat("b", 30) + "anchor" + strings.Repeat("c", 20), "",
		},
		{"texts that touch are one part", []string{"version", "1.2.3"}, 29, strings.Repeat("a", 29) + "version 1.2.3" + strings.Repeat("b", 30), ""},
		{"absent", []string{"version 4"}, 1, "", `the file does not hold "version 4"`},
		{"empty", []string{""}, 1, "", `the file does not hold ""`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var texts [][]byte
			for _, s := range test.texts {
				texts = append(texts, []byte(s))
			}
			got, err := cut(content, texts, test.round)
			if test.err != "" {
				if err == nil || err.Error() != test.err {
					t.Fatalf("error %v, want %s", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestUnescape(t *testing.T) {
	got, err := unescape(`\x00a "b"\n`)
	if err != nil || got != "\x00a \"b\"\n" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := unescape(`\q`); err == nil {
		t.Error("an escape that Go does not know is taken")
	}
}

func TestUsage(t *testing.T) {
	good := []string{"-package", "a", "-path", "b", "-product", "p", "-version", "1", "-licence", "MIT", "-text", "t"}
	if _, err := parse(good, &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"nothing":       nil,
		"both packages": append([]string{"-deb", "x"}, good...),
		"no text":       good[:10],
		"no licence":    append(append([]string{}, good[:8]...), "-text", "t"),
		"a path":        append(append([]string{}, good...), "-version", "../1"),
		"a bad escape":  append(append([]string{}, good...), "-text", `\q`),
	} {
		if _, err := parse(args, &bytes.Buffer{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestSampleOfAPackage(t *testing.T) {
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("dpkg-deb is missing")
		}
		t.Skip("dpkg-deb is missing")
	}
	tree, out := t.TempDir(), t.TempDir()
	if err := os.MkdirAll(filepath.Join(tree, "DEBIAN"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"DEBIAN/control": "Package: thing\nVersion: 1.2.3-1\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: a thing\n",
		"thing.bin":      strings.Repeat("x", 100) + "\x00thing 1.2.3\x00" + strings.Repeat("y", 100),
	} {
		if err := os.WriteFile(filepath.Join(tree, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	deb := filepath.Join(t.TempDir(), "thing_1.2.3-1_all.deb")
	if b, err := exec.CommandContext(t.Context(), "dpkg-deb", "--root-owner-group", "--build", tree, deb).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	args := []string{"-deb", deb, "-path", "thing.bin", "-product", "thing", "-version", "1.2.3", "-licence", "MIT", "-out", out, "-text", `\x00thing 1.2.3\x00`}
	var stdout, stderr bytes.Buffer
	if err := run(t.Context(), args, &stdout, &stderr); err != nil {
		t.Fatal(err)
	}
	const line = `    - {file: thing-1.2.3.bin, version: "1.2.3", package: "thing_1.2.3-1_all.deb", path: "thing.bin", sha256: `
	if !strings.HasPrefix(stdout.String(), line) {
		t.Errorf("line %q", stdout.String())
	}
	got, err := os.ReadFile(filepath.Join(out, "thing-1.2.3.bin"))
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Repeat("x", 32) + "\x00thing 1.2.3\x00" + strings.Repeat("y", 32); string(got) != want {
		t.Errorf("excerpt %q", got)
	}
	args[3] = "../../etc/passwd"
	if err := run(t.Context(), args, &stdout, &stderr); err == nil {
		t.Error("a path out of the package is read")
	}
}
