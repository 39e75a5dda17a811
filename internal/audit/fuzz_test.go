package audit

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func FuzzParseEvent(f *testing.F) {
	f.Add([]byte(`{"index":0,"time":"2026-11-23T12:00:00Z","kind":"decision","decision":{"id":"x"}}`))
	f.Add([]byte(`{"index":1,"kind":"recovery","cut":{"bytes":3}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := ParseEvent(b); err == nil && (e.Kind == Decided) != (e.Decision != nil) {
			t.Errorf("%q is a decision without one", b)
		}
	})
}

func FuzzOpenCheckpoint(f *testing.F) {
	private, public, err := note.GenerateKey(strings.NewReader(strings.Repeat("k", 64)), "log")
	if err != nil {
		f.Fatal(err)
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		f.Fatal(err)
	}
	verifier, err := ParseKey(public + "\n")
	if err != nil {
		f.Fatal(err)
	}
	signed, err := signCheckpoint(tlog.Tree{N: 7, Hash: emptyRoot}, signer)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(signed)
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := OpenCheckpoint(b, verifier)
		if err == nil && (got != tlog.Tree{N: 7, Hash: emptyRoot}) {
			t.Errorf("%q was never signed and opens as %+v", b, got)
		}
	})
}

func FuzzParseTree(f *testing.F) {
	f.Add("log\n0\n" + emptyRoot.String() + "\n")
	f.Fuzz(func(t *testing.T, s string) {
		if tree, err := parseTree(s, "log"); err == nil && tree.N < 0 {
			t.Errorf("%q is a tree of size %d", s, tree.N)
		}
	})
}

func FuzzParseJournal(f *testing.F) {
	f.Add(journalLine([]byte(`{"index":0}`)))
	f.Add(append(journalLine([]byte("a")), "half"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, tail, err := parseJournal(b)
		if err != nil {
			return
		}
		var again []byte
		for _, e := range entries {
			again = append(again, journalLine(e)...)
		}
		if !bytes.Equal(append(again, tail...), b) {
			t.Errorf("%q is read as %q and the tail %q", b, entries, tail)
		}
	})
}

func FuzzSplitBundle(f *testing.F) {
	f.Add(appendEntry(appendEntry(nil, []byte("a")), []byte("bc")), 2)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		entries, rest, err := splitBundle(b, n%tileWidth)
		if err != nil {
			return
		}
		var again []byte
		for _, e := range entries {
			again = appendEntry(again, e)
		}
		if !bytes.Equal(append(again, rest...), b) {
			t.Errorf("%q is read as %q and %q", b, entries, rest)
		}
	})
}

func FuzzParseTilePath(f *testing.F) {
	f.Add("tile/entries/x001/234.p/7")
	f.Add("tile/0/000")
	f.Fuzz(func(t *testing.T, p string) {
		if tile, err := parseTilePath(p); err == nil && tilePath(tile) != p {
			t.Errorf("%q is read as %+v", p, tile)
		}
	})
}
