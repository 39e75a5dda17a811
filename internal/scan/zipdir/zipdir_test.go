package zipdir

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"

	"plimsoll/internal/fault"
)

// archive returns a zip of names and contents in turn.
func archive(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		f, err := w.Create(files[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, files[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.SetComment("made for a test"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// list returns "name=content" of each entry.
func list(b []byte, limit int64) (out []string, err error) {
	err = Each(bytes.NewReader(b), int64(len(b)), func(e Entry) error {
		r, err := e.Open(limit)
		if err != nil {
			return err
		}
		content, err := io.ReadAll(r)
		out = append(out, e.Name+"="+string(content))
		return err
	})
	return out, err
}

func TestEach(t *testing.T) {
	b := archive(t, "a", "one", "b/c", strings.Repeat("x", 1000), "b/", "")
	want := "a=one b/c=" + strings.Repeat("x", 1000) + " b/="
	for name, content := range map[string][]byte{"plain": b, "behind a script": append([]byte("#!/bin/sh\nexec x\n"), b...)} {
		got, err := list(content, 1000)
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// TestLarge: archive/zip writes the form for large archives from 65,535 entries.
func TestLarge(t *testing.T) {
	files := make([]string, 2*70_000)
	for i := 0; i < len(files); i += 2 {
		files[i], files[i+1] = fmt.Sprint("f", i), "x"
	}
	b := append([]byte("#!/bin/sh\n"), archive(t, files...)...)
	n, last := 0, Entry{}
	err := Each(bytes.NewReader(b), int64(len(b)), func(e Entry) error {
		n++
		last = e
		return nil
	})
	if err != nil || n != len(files)/2 {
		t.Fatalf("%d entries, %v", n, err)
	}
	r, err := last.Open(10)
	if err != nil {
		t.Fatal(err)
	}
	if content, err := io.ReadAll(r); err != nil || string(content) != "x" || last.Name != "f139998" {
		t.Errorf("%s holds %q (%v)", last.Name, content, err)
	}
}

// TestLargeNumbers: sizes and offsets that stand in the extra field.
func TestLargeNumbers(t *testing.T) {
	field := binary.LittleEndian.AppendUint64(nil, 3)
	for _, test := range []struct {
		name  string
		extra []byte
		ok    bool
	}{
		{"behind another field", append([]byte{9, 0, 1, 0, 7, 1, 0, 8, 0}, field...), true},
		{"too short", []byte{1, 0, 4, 0, 1, 2, 3, 4}, false},
		{"negative", []byte{1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0x80}, false},
	} {
		e := Entry{Size: unknown}
		if err := e.large(test.extra); (err == nil) != test.ok || test.ok && e.Size != 3 {
			t.Errorf("%s: size %d, %v", test.name, e.Size, err)
		}
	}
}

func TestHostile(t *testing.T) {
	good := archive(t, "a", "one", "b", strings.Repeat("x", 100))
	end := bytes.LastIndex(good, []byte("PK\x05\x06"))
	dir := bytes.Index(good, []byte("PK\x01\x02"))
	change := func(at int, with ...byte) []byte {
		b := bytes.Clone(good)
		copy(b[at:], with)
		return b
	}
	for name, b := range map[string][]byte{
		"nothing":                   {},
		"no end":                    good[:end],
		"directory outside":         change(end+12, 0xff, 0xff, 0xff, 0x7f),
		"a large form that is not":  change(end+16, 0xff, 0xff, 0xff, 0xff),
		"something in between":      change(dir, 'x'),
		"a name that never ends":    change(dir+28, 0xff, 0xff),
		"encrypted":                 change(dir+8, 1),
		"packed as nobody packs":    change(dir+10, 99),
		"content somewhere else":    change(dir+42, 1),
		"content beyond the end":    change(dir+42, 0xff, 0xff, 0xff, 0x7f),
		"content of other bytes":    change(localSize+1, 0xff, 0xff, 0xff),
		"a directory that is short": change(end+12, 10, 0, 0, 0),
	} {
		if _, err := list(b, 100); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
	if _, err := list(good, 99); !fault.Is(err, fault.Invalid) {
		t.Errorf("an entry that is too large: %v", err)
	}
}

// TestOverlappingEntries: many entries that are the same megabytes.
func TestOverlappingEntries(t *testing.T) {
	good := archive(t, "a", strings.Repeat("x", 8<<20))
	dir := bytes.Index(good, []byte("PK\x01\x02"))
	end := bytes.LastIndex(good, []byte("PK\x05\x06"))
	entry := good[dir:end]
	b := bytes.Clone(good[:dir])
	for range 1000 {
		b = append(b, entry...)
	}
	b = append(b, good[end:]...)
	end = len(b) - (len(good) - end)
	binary.LittleEndian.PutUint32(b[end+12:], uint32(1000*len(entry)))
	n := int64(0)
	err := Each(bytes.NewReader(b), int64(len(b)), func(e Entry) error {
		r, err := e.Open(64 << 20)
		if err != nil {
			return err
		}
		m, err := io.Copy(io.Discard, r)
		n += m
		return err
	})
	if !fault.Is(err, fault.Invalid) || n > maxContent {
		t.Errorf("%d bytes were unpacked, err = %v", n, err)
	}
}

func ExampleEach() {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, _ := w.Create("hello.txt")
	_, _ = io.WriteString(f, "hello")
	_ = w.Close()
	err := Each(bytes.NewReader(b.Bytes()), int64(b.Len()), func(e Entry) error {
		r, err := e.Open(100)
		if err != nil {
			return err
		}
		content, err := io.ReadAll(r)
		fmt.Printf("%s: %s\n", e.Name, content)
		return err
	})
	fmt.Println(err)
	// Output:
	// hello.txt: hello
	// <nil>
}

func FuzzEach(f *testing.F) {
	f.Add(archive(f, "a", "one", "b", ""))
	f.Fuzz(func(t *testing.T, b []byte) {
		names := 0
		err := Each(bytes.NewReader(b), int64(len(b)), func(e Entry) error {
			names++
			r, err := e.Open(1 << 20)
			if err == nil {
				_, err = io.Copy(io.Discard, r)
			}
			return err
		})
		if names > len(b)/headerSize+1 {
			t.Errorf("%d entries in %d bytes (%v)", names, len(b), err)
		}
	})
}
