package audit

import (
	"bytes"
	"errors"
	"io"
	"os"

	"golang.org/x/mod/sumdb/tlog"

	"plimsoll/internal/fault"
)

// maxJournal bounds what is read of a journal, in bytes.
const maxJournal = 4 * maxBundle

// journal is the file of events that are promised and not yet published. A line
// is the leaf's hash in base64, a space, the event, a newline.
type journal struct {
	file   *os.File
	size   int64 // bytes of whole lines
	broken error // after a failed write that could not be undone
}

// journalLine returns the line for an entry.
func journalLine(entry []byte) []byte {
	line := append([]byte(tlog.RecordHash(entry).String()), ' ')
	return append(append(line, entry...), '\n')
}

// parseJournal returns the entries of whole lines, their length in all, and the
// tail: what stands after them. A tail of one broken line is what a crash
// leaves; anything after a broken line means that promised bytes were changed,
// and is Untrusted.
func parseJournal(b []byte) (entries [][]byte, tail []byte, err error) {
	for len(b) > 0 {
		line, rest, whole := bytes.Cut(b, []byte("\n"))
		entry, ok := checkLine(line)
		if !whole || !ok {
			if len(rest) > 0 {
				return entries, nil, fault.Errorf(fault.Untrusted, "audit log: the journal's line %d does not have the hash that it was written with", len(entries)+1)
			}
			return entries, b, nil
		}
		entries, b = append(entries, entry), rest
	}
	return entries, nil, nil
}

func checkLine(line []byte) ([]byte, bool) {
	hash, entry, ok := bytes.Cut(line, []byte(" "))
	return entry, ok && len(entry) <= maxEvent && tlog.RecordHash(entry).String() == string(hash)
}

// read returns everything in the journal.
func (j *journal) read() ([]byte, error) {
	b, err := io.ReadAll(io.NewSectionReader(j.file, 0, maxJournal+1))
	if err != nil {
		return nil, fault.Errorf(fault.Unavailable, "audit log: read journal: %w", err)
	}
	if len(b) > maxJournal {
		return nil, fault.Errorf(fault.Untrusted, "audit log: the journal is longer than %d bytes", maxJournal)
	}
	return b, nil
}

// append writes the line of one entry and returns when it is on disk. After an
// error the journal is as it was before.
func (j *journal) append(entry []byte) error {
	if j.broken != nil {
		return j.broken
	}
	line := journalLine(entry)
	_, err := j.file.WriteAt(line, j.size)
	if err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		return fault.Errorf(fault.Unavailable, "audit log: write: %w", errors.Join(err, j.truncate(j.size)))
	}
	j.size += int64(len(line))
	return nil
}

// truncate cuts the journal to size bytes, durably. If that cannot be done
// nothing more is written: the file no longer says what was promised.
func (j *journal) truncate(size int64) error {
	if err := errors.Join(j.file.Truncate(size), j.file.Sync()); err != nil {
		j.broken = fault.Errorf(fault.Unavailable, "audit log: the journal could not be cut back: %w", err)
		return j.broken
	}
	j.size = size
	return nil
}
