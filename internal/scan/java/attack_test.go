package java

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/scan/scantest"
)

// nest puts an archive into another n times.
func nest(t *testing.T, inner []byte, n int) []byte {
	for range n {
		inner = pack(t, member{"lib/x.jar", string(inner), false})
	}
	return inner
}

// patch changes the directory entry of a file; the directory is where the last
// mention of its name is.
func patch(b []byte, name string, at int, value uint32) []byte {
	b = bytes.Clone(b)
	head := bytes.LastIndex(b, []byte(name)) - centralSize
	binary.LittleEndian.PutUint32(b[head+at:], value)
	return b
}

func TestHostileArchives(t *testing.T) {
	good := member{"lib/slf4j-nop-1.7.32.jar", string(sample(t, "slf4j-nop-1.7.32.jar")), true}
	other := properties("g", "a", "1")
	two := pack(t, good, other)
	zeros := strings.Repeat("\x00", 8<<20)
	for _, test := range []struct {
		name    string
		content []byte
		err     string // a part of it
		want    []string
	}{
		{"nested as deep as allowed", nest(t, []byte(good.content), maxDepth), "", []string{"org.slf4j/slf4j-nop 1.7.32"}},
		{"nested too deep", nest(t, []byte(good.content), maxDepth+1), "nested deeper than 8", nil},
		{"overlapping entries", patch(two, other.name, 42, 0), "lie over each other", []string{"org.slf4j/slf4j-nop 1.7.32"}},
		{"an entry outside", patch(two, other.name, 42, 1<<30), "outside of the archive", []string{"org.slf4j/slf4j-nop 1.7.32"}},
		{"a lying size", patch(two, other.name, 24, 7), `"` + other.name + `": it does not have the 7 bytes`, []string{"org.slf4j/slf4j-nop 1.7.32"}},
		{"a lying sum", patch(two, other.name, 16, 7), "CRC-32", []string{"org.slf4j/slf4j-nop 1.7.32"}},
		{"an unknown method", patch(two, other.name, 8, 99<<16), "compression method 99", []string{"org.slf4j/slf4j-nop 1.7.32"}},
		{"encrypted", patch(two, other.name, 8, 1|8<<16), "encrypted", []string{"org.slf4j/slf4j-nop 1.7.32"}},
		{"a bomb", pack(t, good, member{"lib/bomb.jar", zeros, false}), `"lib/bomb.jar": 8388608 bytes are packed into`, []string{"org.slf4j/slf4j-nop 1.7.32"}},
		{"two of one name", pack(t, good, member{good.name, string(sample(t, "log4j-1.2-1.2.17.jar")), true}), "two of that name", []string{"org.slf4j/slf4j-nop 1.7.32", "log4j/log4j 1.7.32"}},
		{"the same twice", pack(t, good, good), "", []string{"org.slf4j/slf4j-nop 1.7.32", "org.slf4j/slf4j-nop 1.7.32"}},
		{"a broken one within", pack(t, good, member{"lib/cut.jar", good.content[:1000], true}), `"lib/cut.jar": no end record`, []string{"org.slf4j/slf4j-nop 1.7.32"}},
		{"only named so", pack(t, good, member{"lib/text.jar", "see elsewhere", true}), "", []string{"org.slf4j/slf4j-nop 1.7.32"}},
		{"a large record", pack(t, good, member{"META-INF/maven/g/a/pom.properties", strings.Repeat("x", maxRecord+1), false}), "larger than 65536 bytes", []string{"org.slf4j/slf4j-nop 1.7.32"}},
		{"a malformed project", pack(t, good, member{"META-INF/maven/g/a/pom.xml", "<project", true}), "not a project", []string{"org.slf4j/slf4j-nop 1.7.32"}},
		{"cut short", pack(t, other)[:100], "no end record", nil},
		{"no archive at all", []byte("version https://git-lfs.github.com/spec/v1\n"), "", nil},
		{"empty", nil, "", nil},
		{"names that are not text", pack(t, member{"lib/\x1b[31m\xff.jar", string(sample(t, "slf4j-nop-1.7.32.jar")), true}), "", []string{"org.slf4j/slf4j-nop 1.7.32"}},
		{"a name without end", pack(t, good, member{strings.Repeat("x", maxName) + ".jar", "", true}), "1 entries were not looked into", []string{"org.slf4j/slf4j-nop 1.7.32"}},
		{"many of one", many(t), "entries were not looked into", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			found, err := extract(t, "app/x.jar", test.content)
			if (err == nil) != (test.err == "") || (err != nil && !strings.Contains(err.Error(), test.err)) {
				t.Fatalf("err = %v, want %q", err, test.err)
			}
			if diff := cmp.Diff(test.want, scantest.Summary(found.Components)); diff != "" {
				t.Errorf("components (-want +got):\n%s", diff)
			}
			for _, c := range found.Components {
				for _, e := range c.Evidence {
					if !utf8.ValidString(e.Path) || strings.ContainsFunc(e.Path, unicode.IsControl) {
						t.Errorf("found at %q", e.Path)
					}
				}
			}
		})
	}
}

func many(t *testing.T) []byte {
	list := make([]member, maxListed+10)
	for i := range list {
		list[i] = member{name: "x.jar"}
	}
	return pack(t, list...)
}

// TestSecondEndRecord: the JVM takes the last end record whose comment ends with
// the file; one in that comment does not hide the archive.
func TestSecondEndRecord(t *testing.T) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("META-INF/maven/g/evil/pom.properties")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("groupId=g\nartifactId=evil\nversion=6.6\n")); err != nil {
		t.Fatal(err)
	}
	if err := z.SetComment(endMagic + strings.Repeat("\x00", endSize-4) + "behind"); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	found, err := extract(t, "x.jar", b.Bytes())
	if diff := cmp.Diff([]string{"g/evil 6.6"}, scantest.Summary(found.Components)); diff != "" || err != nil {
		t.Errorf("err = %v, components (-want +got):\n%s", err, diff)
	}
}

// TestOtherZipFilesAreNobodys: what is not Java's may be as broken as it likes.
func TestOtherZipFilesAreNobodys(t *testing.T) {
	z := pack(t, member{name: "a.txt", content: "a"}, member{name: "b.txt", content: "b"})
	for name, content := range map[string][]byte{"plain": z, "cut": z[:len(z)-10], "overlapping": patch(z, "b.txt", 42, 0), "outside": patch(z, "b.txt", 42, 1<<30)} {
		if found, err := extract(t, "x/data.zip", content); err != nil || !found.Empty() {
			t.Errorf("%s: %v, %v", name, found.Components, err)
		}
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (Extractor{}).Extract(ctx, scantest.File("x.jar", fat(t))); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
}
