package rpm

import (
	"encoding/binary"

	"plimsoll/internal/fault"
)

// Sizes in an ndb database (rpm, lib/backend/ndb/rpmpkg.c): pages of slots at
// the beginning, of which the file's own header takes the first two; then blobs
// at multiples of blockSize.
const (
	ndbPage   = 4096
	ndbSlot   = 16
	ndbHeader = 32
	blockSize = 16
	maxPages  = 4096
)

// readNDB reads rpm's own form of database.
func readNDB(s *source, fn func(header []byte) error) error {
	head := make([]byte, ndbHeader)
	if err := s.at(head, 0); err != nil {
		return err
	}
	version, pages := binary.LittleEndian.Uint32(head[4:]), binary.LittleEndian.Uint32(head[12:])
	if version != 0 || pages == 0 || pages > maxPages {
		return fault.Errorf(fault.Invalid, "an ndb database of version %d with %d pages of slots", version, pages)
	}
	page := make([]byte, ndbPage)
	for i := range int64(pages) {
		if err := s.at(page, i*ndbPage); err != nil {
			return err
		}
		slots := page
		if i == 0 {
			slots = page[ndbHeader:]
		}
		for ; len(slots) > 0; slots = slots[ndbSlot:] {
			if string(slots[:4]) != "Slot" {
				return fault.Errorf(fault.Invalid, "a slot does not begin as slots do")
			}
			if id := binary.LittleEndian.Uint32(slots[4:]); id != 0 {
				if err := ndbBlob(s, id, int64(binary.LittleEndian.Uint32(slots[8:]))*blockSize, fn); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// ndbBlob reads the package id at the given place.
func ndbBlob(s *source, id uint32, at int64, fn func(header []byte) error) error {
	head := make([]byte, blockSize)
	if err := s.at(head, at); err != nil {
		return err
	}
	if string(head[:4]) != "BlbS" || binary.LittleEndian.Uint32(head[4:]) != id {
		return fault.Errorf(fault.Invalid, "package %d is not where its slot says", id)
	}
	b, err := s.take(int64(binary.LittleEndian.Uint32(head[12:])))
	if err != nil {
		return err
	}
	if err := s.at(b, at+blockSize); err != nil {
		return err
	}
	return fn(b)
}
