package native

import (
	"debug/elf"
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan/scantest"
)

// noted makes an ELF program whose only segment is a note of the package.
func noted(text string) []byte {
	desc := append([]byte(text), 0)
	for len(desc)%4 != 0 {
		desc = append(desc, 0)
	}
	n := binary.LittleEndian.AppendUint32(nil, 4)
	n = binary.LittleEndian.AppendUint32(n, uint32(len(desc)))
	n = binary.LittleEndian.AppendUint32(n, 0xcafe1a7e)
	n = append(append(n, "FDO\x00"...), desc...)
	b := wrap(n, nil, "")
	// The second segment, which was the dynamic one, becomes the note's.
	segment := b[64+56:]
	binary.LittleEndian.PutUint32(segment, uint32(elf.PT_NOTE))
	binary.LittleEndian.PutUint64(segment[8:], uint64(len(b)-16-len(n)))
	binary.LittleEndian.PutUint64(segment[32:], uint64(len(n)))
	return b
}

func TestNotes(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       []inventory.Component
	}{
		{"deb", `{"type":"deb","os":"debian","osVersion":"12","name":"demonote","version":"1.2.3-4","architecture":"amd64"}`, []inventory.Component{{
			Kind: inventory.Native, Type: inventory.Deb, Namespace: "debian", Name: "demonote", Version: "1.2.3-4", Arch: "amd64",
			SourceName: "demonote", SourceVersion: "1.2.3-4", Relation: inventory.Contains,
		}}},
		{"rpm", `{"type":"rpm","name":"hello","version":"0-1.fc35.x86_64","architecture":"x86_64","osCpe":"cpe:/o:fedoraproject:fedora:33","os":"fedora"}`, []inventory.Component{{
			Kind: inventory.Native, Type: inventory.RPM, Namespace: "fedora", Name: "hello", Version: "0-1.fc35", Arch: "x86_64",
			SourceName: "hello", SourceVersion: "0-1.fc35", Relation: inventory.Contains,
		}}},
		{"of no distribution", `{"type":"homemade","name":"x","version":"1"}`, []inventory.Component{{
			Kind: inventory.Native, Type: inventory.Generic, Name: "x", Version: "1", SourceName: "x", SourceVersion: "1", Relation: inventory.Contains,
		}}},
		{"without a name", `{"type":"deb"}`, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			found, err := Notes{}.Extract(t.Context(), scantest.File("opt/x", noted(test.text)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, found.Components); diff != "" {
				t.Errorf("components (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDamagedNoteIsNotSilence(t *testing.T) {
	if _, err := (Notes{}).Extract(t.Context(), scantest.File("x", noted(`{"type":`))); !fault.Is(err, fault.Invalid) {
		t.Errorf("err = %v, want invalid", err)
	}
}

func FuzzNotes(f *testing.F) {
	scantest.Fuzz(f, Notes{}, "x", string(noted(`{"type":"deb","name":"x","version":"1"}`)), "\x7fELF\x02\x01\x01")
}
