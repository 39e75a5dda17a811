package piv

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"strings"
)

// A reader's state as pcscd sends it (READER_STATE).
const (
	maxReaders  = 16
	readerSize  = 184
	nameSize    = 128
	stateOffset = nameSize + 4 // behind a counter of events

	statePresent = 0x04
)

// reader is a card reader, which for a USB token is the token itself.
type reader struct {
	name    string
	present bool // there is a card in it
}

// readers returns the readers that pcscd knows.
func (d *daemon) readers(ctx context.Context) ([]reader, error) {
	answer, err := d.exchange(ctx, commandReaders, nil, nil, maxReaders*readerSize, patience)
	if err != nil {
		return nil, fmt.Errorf("list card readers: %w", err)
	}
	return parseReaders(answer), nil
}

// parseReaders reads pcscd's table of readers.
func parseReaders(b []byte) []reader {
	var all []reader
	for ; len(b) >= readerSize; b = b[readerSize:] {
		name, _, _ := bytes.Cut(b[:nameSize], []byte{0})
		if len(name) == 0 {
			continue
		}
		all = append(all, reader{
			name:    strings.ToValidUTF8(string(name), "\uFFFD"),
			present: binary.NativeEndian.Uint32(b[stateOffset:])&statePresent != 0,
		})
	}
	return all
}
