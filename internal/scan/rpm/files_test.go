package rpm

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/inventory"
	"plimsoll/internal/scan/scantest"
)

const digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// shell returns the header of a package with one file of each kind that matters.
func shell(algorithm uint32) []byte {
	names := []string{"plain", "data", "lib.so", "gone", "conf", "link", "absent"}
	modes := []uint16{0o100755, 0o100644, 0o100644, 0o100755, 0o100755, 0o120777, 0o100755}
	colours := []uint32{0, 0, 2, 0, 0, 0, 0}
	flags := []uint32{0, 0, 0, flagGhost, flagConfig, 0, 0}
	n := uint32(len(names))
	var mode, colour, flag []byte
	for i := range names {
		mode = binary.BigEndian.AppendUint16(mode, modes[i])
		colour = binary.BigEndian.AppendUint32(colour, colours[i])
		flag = binary.BigEndian.AppendUint32(flag, flags[i])
	}
	return headerOf(text(tagName, "sh"), text(tagVersion, "1"), text(tagRelease, "1"),
		value{tagDirNames, typeStringArray, 1, []byte("/usr/bin/\x00")},
		value{tagBaseNames, typeStringArray, n, []byte(strings.Join(names, "\x00") + "\x00")},
		value{tagDirIndexes, typeInt32, n, make([]byte, 4*n)},
		value{tagModes, typeInt16, n, mode}, value{tagColours, typeInt32, n, colour}, value{tagFlags, typeInt32, n, flag},
		value{tagStates, typeChar, n, []byte{0, 0, 0, 0, 0, 0, 2}},
		value{tagAlgorithm, typeInt32, 1, binary.BigEndian.AppendUint32(nil, algorithm)},
		value{tagDigests, typeStringArray, n, []byte(strings.Repeat(digest+"\x00", int(n)))})
}

func TestClaims(t *testing.T) {
	for _, test := range []struct {
		algorithm uint32
		sum       string
	}{{8, "sha256:" + digest}, {10, ""}, {1, ""}} {
		found := extract(t, packagesDB, ndb([][]byte{shell(test.algorithm)}))
		want := []inventory.Owned{
			{Path: "usr/bin/plain", Package: "sh", Type: inventory.RPM, Sum: test.sum},
			{Path: "usr/bin/lib.so", Package: "sh", Type: inventory.RPM, Sum: test.sum},
			{Path: "usr/bin/conf", Package: "sh", Type: inventory.RPM},
		}
		if diff := cmp.Diff(want, found.Owned); diff != "" {
			t.Errorf("algorithm %d: owned (-want +got):\n%s", test.algorithm, diff)
		}
	}
}

func TestArraysThatLie(t *testing.T) {
	h := headerOf(text(tagName, "sh"), text(tagVersion, "1"),
		value{tagBaseNames, typeStringArray, 2, []byte("a\x00")},
		value{tagDirIndexes, typeInt32, 2, make([]byte, 8)},
		value{tagModes, typeInt16, 1 << 30, []byte{0x81, 0xed}},
		value{tagColours, typeInt32, 1, []byte{0, 0, 0, 1}})
	if found := extract(t, packagesDB, ndb([][]byte{h})); len(found.Owned) != 0 || len(found.Components) != 1 {
		t.Errorf("%+v", found)
	}
}

func FuzzClaims(f *testing.F) {
	f.Add(shell(8))
	f.Fuzz(func(t *testing.T, header []byte) {
		found, err := Extractor{}.Extract(t.Context(), scantest.File(packagesDB, ndb([][]byte{header})))
		if err == nil && len(found.Owned) > len(header) {
			t.Errorf("%d claims in %d bytes", len(found.Owned), len(header))
		}
	})
}
