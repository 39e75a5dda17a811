package piv

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
)

func TestURIs(t *testing.T) {
	good := map[string]string{
		"piv:":                                   "piv:",
		"piv:slot=9c":                            "piv:slot=9c",
		"PIV:slot=9A":                            "piv:slot=9a",
		"piv:slot=95;serial=12345678":            "piv:serial=12345678;slot=95",
		"piv:reader=A%20%3B+B%2000%2000":         "piv:reader=A%20%3B+B%2000%2000",
		"piv:serial=4294967295;reader=caf%C3%A9": "piv:serial=4294967295;reader=caf%C3%A9",
	}
	for in, want := range good {
		u, err := parseURI(in)
		if err != nil || u.String() != want {
			t.Errorf("%q: %q, %v; want %q", in, u, err, want)
		}
	}
	bad := map[string]string{
		"pkcs11:slot=9c": "not a piv: URI", "piv": "not a piv: URI", "piv:" + strings.Repeat("x", 2000): "not a piv: URI",
		"piv:slot": "no value", "piv:slot=": "no value", "piv:slot=9c;": `attribute ""`, "piv:slot=9c;slot=9c": "two attributes",
		"piv:slot=99": "not a slot", "piv:slot=9b": "not a slot", "piv:slot=f9": "not a slot", "piv:slot=0x9c": "not a slot",
		"piv:slot=9": "not a slot", "piv:slot=96": "not a slot", "piv:serial=-1": "not a serial", "piv:serial=4294967296": "not a serial",
		"piv:reader=%zz": "malformed", "piv:reader=%ff": "malformed", "piv:reader=a%00": "malformed", "piv:sloot=9c": "unknown attribute",
		"piv:slot=9c;pin=123456": "does not belong on a command line",
	}
	for in, want := range bad {
		if u, err := parseURI(in); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "123456") {
			t.Errorf("%q: %q, %v; want %q", in, u, err, want)
		}
	}
}

func FuzzURI(f *testing.F) {
	f.Add("piv:serial=12345678;slot=9c")
	f.Add("piv:reader=Yubico%20YubiKey;slot=82")
	f.Fuzz(func(t *testing.T, s string) {
		u, err := parseURI(s)
		if err != nil {
			return
		}
		again, err := parseURI(u.String())
		if err != nil || again != u {
			t.Errorf("%q became %q: %+v, %v", s, u, again, err)
		}
	})
}

func TestSlotsHaveTheirCertificates(t *testing.T) {
	want := map[string]string{"9a": "5fc105", "9c": "5fc10a", "9d": "5fc10b", "9e": "5fc101", "82": "5fc10d", "95": "5fc120"}
	got := map[string]string{}
	for name := range want {
		s, err := parseSlot(name)
		if err != nil {
			t.Fatal(err)
		}
		got[name] = hex.EncodeToString(s.certificate())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if n := len(allSlots()); n != 24 {
		t.Errorf("%d slots", n)
	}
}

func TestDataObjects(t *testing.T) {
	long := bytes.Repeat([]byte{7}, 300)
	b := appendField(nil, 0x7f49, appendField(appendField(nil, 0x86, long...), 0x81, 1)...)
	if got, err := find(b, 0x7f49, 0x86); err != nil || !bytes.Equal(got, long) {
		t.Errorf("%x, %v", got, err)
	}
	if _, err := find(b, 0x7f49, 0x87); !fault.Is(err, fault.NotFound) {
		t.Errorf("got %v", err)
	}
	for name, in := range map[string]string{
		"no length": "86", "cut value": "860201", "cut tag": "7f", "a tag of three bytes": "7f8101 00", "cut length": "8682 01",
		"indefinite length": "8680 0000", "length of three bytes": "8683 000001 07", "too many": strings.Repeat("8600", 65),
	} {
		b, err := hex.DecodeString(strings.ReplaceAll(in, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if all, err := parseFields(b); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v, %v", name, all, err)
		}
	}
}

func FuzzDataObjects(f *testing.F) {
	f.Add([]byte{0x7f, 0x49, 3, 0x86, 1, 4})
	f.Add([]byte{0x53, 0x81, 2, 0x70, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := parseFields(b)
		if err != nil {
			return
		}
		var again []byte
		for _, f := range all {
			again = appendField(again, f.tag, f.value...)
		}
		if got, err := parseFields(again); err != nil || !cmp.Equal(all, got, cmp.AllowUnexported(field{})) {
			t.Errorf("%x became %x: %v", b, again, err)
		}
	})
}

func FuzzMetadata(f *testing.F) {
	for _, s := range []string{
		"010111" + "02020203" + "030101" + "0443" + "8641" + "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
		"0101e0" + "02020101" + "030102" + "0422" + "8620" + strings.Repeat("07", 32),
		"010107",
	} {
		b, err := hex.DecodeString(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := parseMetadata(slotSignature, b)
		if (err == nil) != (k != nil && k.public != nil) {
			t.Errorf("%+v, %v", k, err)
		}
	})
}

// table is a table of readers as pcscd sends it.
func table(names ...string) []byte {
	b := make([]byte, maxReaders*readerSize)
	for i, name := range names {
		copy(b[i*readerSize:], name)
		copy(b[i*readerSize+stateOffset:], words(statePresent))
	}
	return b
}

func TestReaders(t *testing.T) {
	got := parseReaders(table("A 00 00", "", "caf\xff"))
	want := []reader{{"A 00 00", true}, {"caf\uFFFD", true}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(reader{})); diff != "" {
		t.Error(diff)
	}
}

func FuzzReaders(f *testing.F) {
	f.Add(table("A 00 00"))
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, r := range parseReaders(b) {
			if len(r.name) == 0 || len(r.name) > 3*nameSize {
				t.Errorf("name %q", r.name)
			}
		}
	})
}
