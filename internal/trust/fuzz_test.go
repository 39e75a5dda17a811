package trust

import (
	"bytes"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"

	"plimsoll/internal/fault"
)

// seeds adds every file of a collection, and some that are no metadata.
func seeds(f *testing.F) {
	f.Helper()
	w := newWorld(f)
	w.newKey("releases")
	w.must(w.repo.Delegate(f.Context(), RoleConfig{Name: "releases", Keys: w.public("releases"), Threshold: 1}))
	w.sign("releases", "v1", "a")
	for _, b := range w.files() {
		f.Add(b)
	}
	const head = `"spec_version":"1.0","version":1,"expires":"2027-01-01T00:00:00Z"`
	for _, s := range []string{
		`{"signed":{"_type":"targets",` + head + `,"targets":{},"delegations":{"keys":{},"succinct_roles":{"keyids":[],"threshold":1,"bit_length":4,"name_prefix":"bin"}}},"signatures":[]}`,
		`{"signed":{"_type":"targets",` + head + `,"targets":{"a":{"length":0,"hashes":{"x":"y"}}},"delegations":{"keys":{"k":{"keytype":"?","scheme":"?","keyval":{}}},"roles":[{"name":"a","keyids":["k"],"threshold":1,"terminating":true,"paths":[]}]}},"signatures":[{"keyid":"","sig":"x"}]}`,
		"", "{}", "[]", `{"signed":{},"signatures":[]}`, `{"signed":null,"signatures":null}`, `{"a":1,"a":2}`, `{"a":1.5}`,
	} {
		f.Add([]byte(s))
	}
}

// again checks that what was parsed is written as it was read: unknown fields
// are kept, and the signed bytes are the same.
func again[T body](t *testing.T, b []byte, decode func(*object) T) {
	t.Helper()
	m, err := parse(b, decode)
	if err != nil {
		if !fault.Is(err, fault.Untrusted) {
			t.Errorf("kind of %v", err)
		}
		return
	}
	signed, err := canonical(m.Signed.encode())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(signed, m.signed) {
		t.Errorf("written differently:\n%s\n%s", m.signed, signed)
	}
}

// FuzzCanonical compares our canonical form with another implementation's.
func FuzzCanonical(f *testing.F) {
	seeds(f)
	f.Add([]byte(`{"b":["\u0000\\\"\u2028<>&",-1,true,null],"a":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := parseJSON(b)
		if err != nil {
			return
		}
		got, err := canonical(v)
		if err != nil {
			t.Fatal(err)
		}
		want, err := cjson.EncodeCanonical(v)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%q; the other says %q, %v", got, want, err)
		}
	})
}

func FuzzRoot(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) { again(t, b, decodeRoot) })
}

func FuzzTimestamp(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) { again(t, b, decodeTimestamp) })
}

func FuzzSnapshot(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) { again(t, b, decodeSnapshot) })
}

func FuzzTargets(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) { again(t, b, decodeTargets) })
}
