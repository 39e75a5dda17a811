package protocol_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
	"plimsoll/internal/idmap"
	"plimsoll/internal/profile"
	"plimsoll/internal/seal/protocol"
)

func TestAMessageComesBackAsItWasSent(t *testing.T) {
	var b bytes.Buffer
	want := protocol.Question{Version: 1, Verb: protocol.Create, ID: "c1", State: "/run/x", Layers: []string{"/l/1", "/l/2"}, Annotations: map[string]string{"a": "é"}}
	if err := protocol.Write(&b, want); err != nil {
		t.Fatal(err)
	}
	var got protocol.Question
	if err := protocol.Read(&b, &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" || b.Len() != 0 {
		t.Errorf("%d bytes left, %s", b.Len(), d)
	}
}

func frame(length int, text string) string {
	return string([]byte{byte(length >> 24), byte(length >> 16), byte(length >> 8), byte(length)}) + text
}

func TestReadRefuses(t *testing.T) {
	tests := []struct {
		name, in string
		kind     fault.Kind
	}{
		{"nothing", "", fault.Unavailable},
		{"half a length", "\x00\x00", fault.Unavailable},
		{"length without a message", frame(2, ""), fault.Unavailable},
		{"cut off", frame(10, `{"id":`), fault.Unavailable},
		{"empty", frame(0, ""), fault.Invalid},
		{"too long", frame(protocol.MaxMessage+1, "{}"), fault.Invalid},
		{"not JSON", frame(3, "abc"), fault.Invalid},
		{"unknown field", frame(7, `{"x":1}`), fault.Invalid},
		{"two values", frame(5, "{} {}"), fault.Invalid},
		{"value and rubbish", frame(4, "{} }"), fault.Invalid},
	}
	for _, tt := range tests {
		var q protocol.Question
		if err := protocol.Read(strings.NewReader(tt.in), &q); !fault.Is(err, tt.kind) {
			t.Errorf("%s: %v (%v), want %v", tt.name, err, fault.KindOf(err), tt.kind)
		}
	}
	if err := protocol.Write(new(bytes.Buffer), strings.Repeat("x", protocol.MaxMessage)); !fault.Is(err, fault.Invalid) {
		t.Errorf("a message that is too long: %v", err)
	}
}

func grant() protocol.Grant {
	return protocol.Grant{
		Team:    "alpha",
		Profile: profile.Profile{CPUs: 1, Memory: 64 << 20, PIDs: 64, Runtime: "runc", Network: profile.Network{Mode: "bridge"}},
		IDs:     idmap.Range{Base: 0x70000000, Size: idmap.SlotSize},
		Disk:    idmap.Range{Base: 0x7ff00000, Size: idmap.SlotSize},
	}
}

func TestGrantsThatCannotBeMeant(t *testing.T) {
	if g := grant(); g.Validate() != nil {
		t.Fatalf("a sound one: %v", g.Validate())
	}
	tests := map[string]func(*protocol.Grant){
		"no team":              func(g *protocol.Grant) { g.Team = "" },
		"team with a path":     func(g *protocol.Grant) { g.Team = "../x" },
		"no profile":           func(g *protocol.Grant) { g.Profile = profile.Profile{} },
		"host's IDs":           func(g *protocol.Grant) { g.IDs.Base = 0 },
		"all IDs":              func(g *protocol.Grant) { g.IDs.Size = 1 << 31 },
		"IDs above the signed": func(g *protocol.Grant) { g.IDs.Base = 1<<31 - 1 },
		"no disk":              func(g *protocol.Grant) { g.Disk = idmap.Range{} },
		"one range for both":   func(g *protocol.Grant) { g.Disk = g.IDs },
		"own is the host":      func(g *protocol.Grant) { g.Own = []string{"/"} },
		"own is relative":      func(g *protocol.Grant) { g.Own = []string{"x"} },
		"root with dots":       func(g *protocol.Grant) { g.VolumeRoots = []string{"/a/../etc"} },
		"volume is a path":     func(g *protocol.Grant) { g.VolumeNames = []string{"../x"} },
		"volume is the parent": func(g *protocol.Grant) { g.VolumeNames = []string{".."} },
	}
	for name, spoil := range tests {
		g := grant()
		spoil(&g)
		if err := g.Validate(); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(frame(2, "{}")))
	f.Add([]byte(frame(30, `{"version":1,"grant":{"team":1}}`)))
	f.Fuzz(func(t *testing.T, b []byte) {
		var a protocol.Answer
		if err := protocol.Read(bytes.NewReader(b), &a); err != nil {
			return
		}
		var again bytes.Buffer
		if err := protocol.Write(&again, a); err != nil {
			t.Fatal(err)
		}
		var b2 protocol.Answer
		if err := protocol.Read(&again, &b2); err != nil {
			t.Errorf("%+v cannot be read again: %v", a, err)
		}
	})
}

func TestValidID(t *testing.T) {
	for _, s := range []string{"a", "c1", "0", "_x", "A.b+c-d", strings.Repeat("f", 64)} {
		if !protocol.ValidID(s) {
			t.Errorf("%q is refused", s)
		}
	}
	for _, s := range []string{"", ".", "..", "-x", "a/b", "a b", "a\x00", "é", "a\n", strings.Repeat("f", 201)} {
		if protocol.ValidID(s) {
			t.Errorf("%q is taken", s)
		}
	}
}
