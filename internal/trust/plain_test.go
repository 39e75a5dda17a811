package trust

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plimsoll/internal/fault"
)

// TestPlain: a collection of ours is a TUF repository like any other. The client
// that demands no GUN reads it, and is no way around the GUN: they share no
// memory.
func TestPlain(t *testing.T) {
	w := newWorld(t)
	m := w.sign(RoleTargets, "v1", "a")
	f, dir := w.files(), t.TempDir()
	p := NewPlain(PlainConfig{Collection: f, Dir: dir})
	if _, err := p.Refresh(t.Context(), w.now); !fault.Is(err, fault.NotFound) {
		t.Fatalf("without a root: %v", err)
	}
	w.must(p.Init(t.Context(), f["1.root.json"]))
	for range 2 {
		trusted, err := p.Refresh(t.Context(), w.now)
		w.must(err)
		target, err := trusted.Target(t.Context(), "v1")
		w.must(err)
		if target.Length != m.Size || target.Hashes["sha256"] != m.Digest.Encoded() || target.Role != RoleTargets {
			t.Errorf("v1 is %+v", target)
		}
		if _, err := trusted.Target(t.Context(), "v2"); !fault.Is(err, fault.NotFound) {
			t.Errorf("v2: %v", err)
		}
		w.must(trusted.Close())
	}
	w.forge(f, "2.targets.json", func(s map[string]any) { delete(s, gunField) }, "targets")
	w.relink(f, 5, map[string]int64{RoleTargets: 2})
	trusted, err := p.Refresh(t.Context(), w.now)
	w.must(err)
	w.must(trusted.Close())
	w.refused(w.refresh(f), "no repository is named")
}

func TestPlainInitRefuses(t *testing.T) {
	w := newWorld(t)
	f := w.files()
	w.newKey("thief")
	w.forge(f, "1.root.json", func(map[string]any) {}, "thief")
	for name, root := range map[string][]byte{
		"unsigned": f["1.root.json"], "another role's": f["1.targets.json"], "nothing": nil, "no JSON": []byte("{"),
	} {
		dir := t.TempDir()
		err := NewPlain(PlainConfig{Dir: dir}).Init(t.Context(), root)
		w.refused(err, "root metadata")
		if _, err := os.Stat(filepath.Join(dir, "root.json")); err == nil {
			t.Errorf("%s: it was written", name)
		}
	}
}

// TestPlainStopsAtAnyMoment: whatever read is the last one before the client is
// stopped, the next refresh goes on from there.
func TestPlainStopsAtAnyMoment(t *testing.T) {
	w := newWorld(t)
	root := w.files()["1.root.json"]
	w.newKey("timestamp2")
	w.must(w.repo.Rotate(t.Context(), []string{RoleTimestamp}, w.public("timestamp2"), 0))
	w.sign(RoleTargets, "v1", "a")
	for reads := range 5 { // root 2, no root 3, timestamp, snapshot, targets
		dir := t.TempDir()
		w.must(NewPlain(PlainConfig{Dir: dir}).Init(t.Context(), root))
		ctx, cancel := context.WithCancel(t.Context())
		_, err := NewPlain(PlainConfig{Collection: &dying{w.files(), reads, cancel}, Dir: dir}).Refresh(ctx, w.now)
		if err == nil {
			t.Fatalf("%d reads were enough", reads)
		}
		trusted, err := NewPlain(PlainConfig{Collection: w.files(), Dir: dir}).Refresh(t.Context(), w.now)
		w.must(err)
		w.must(trusted.Close())
	}
}

// dying is a collection whose reader is stopped after some reads.
type dying struct {
	files
	left int
	stop context.CancelFunc
}

func (d *dying) Read(ctx context.Context, name string, limit int64) ([]byte, error) {
	if d.left--; d.left < 0 {
		d.stop()
		return nil, ctx.Err()
	}
	return d.files.Read(ctx, name, limit)
}

func TestTargetReceive(t *testing.T) {
	sum, _ := hashOf("sha256", []byte("content"))
	long, _ := hashOf("sha512", []byte("content"))
	good := hashes{"sha256": sum}
	tests := []struct {
		name, content string
		hashes        hashes
		words         string // "" if it is right
	}{
		{"right", "content", good, ""},
		{"two hashes", "content", hashes{"sha256": sum, "sha512": long}, ""},
		{"one of two is wrong", "content", hashes{"sha256": sum, "sha512": sum}, "sha512 hash is"},
		{"an unknown one beside", "content", hashes{"sha256": sum, "md17": "00"}, ""},
		{"only an unknown one", "content", hashes{"md17": "00"}, "none of its hashes"},
		{"none", "content", nil, "none of its hashes"},
		{"other content", "CONTENT", good, "sha256 hash is"},
		{"shorter", "conten", good, "not 7 bytes long"},
		{"longer", "contents", good, "not 7 bytes long"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got bytes.Buffer
			err := (&Target{Path: "file", Length: 7, Hashes: tt.hashes}).Receive(&got, strings.NewReader(tt.content))
			switch {
			case tt.words == "" && (err != nil || got.String() != tt.content):
				t.Errorf("%q, %v", got.String(), err)
			case tt.words != "" && (!fault.Is(err, fault.Untrusted) || !strings.Contains(err.Error(), tt.words)):
				t.Errorf("%v, want %q", err, tt.words)
			}
		})
	}
	err := (&Target{Path: "file", Length: 7, Hashes: good}).Receive(&bytes.Buffer{}, endless{})
	if !fault.Is(err, fault.Untrusted) {
		t.Errorf("without end: %v", err)
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

func ExampleTarget_URLPath() {
	fmt.Println((&Target{Path: "path/to/a file", prefix: "5ac8."}).URLPath())
	// Output: path/to/5ac8.a%20file
}
