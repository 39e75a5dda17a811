package pack

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"plimsoll/internal/advisory"
	"plimsoll/internal/fault"
)

// Store answers from the current packs of a folder. Packs are opened when they
// are first asked for. All methods may be called concurrently.
type Store struct {
	dir   string
	index *index

	mu   sync.Mutex
	open map[advisory.Ecosystem]*reader
}

// reader is an open pack.
type reader struct {
	db    *sql.DB
	query *sql.Stmt
}

// Open reads the index of dir; a folder without one has no packs. The caller
// closes the store. A build that follows does not change it.
func Open(dir string) (*Store, error) {
	x, err := readIndex(dir)
	if err != nil {
		return nil, err
	}
	return &Store{dir: dir, index: x, open: map[advisory.Ecosystem]*reader{}}, nil
}

// Close closes the packs.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, r := range s.open {
		errs = append(errs, r.query.Close(), r.db.Close())
	}
	clear(s.open)
	return errors.Join(errs...)
}

// Packs describes the packs, sorted by ecosystem.
func (s *Store) Packs() []Info { return s.index.Packs }

// AsOf returns the date of the oldest source of e's pack; NotFound if there is
// no pack.
func (s *Store) AsOf(e advisory.Ecosystem) (time.Time, error) {
	info, ok := s.index.find(e)
	if !ok {
		return time.Time{}, noPack(e)
	}
	return info.AsOf, nil
}

// Affecting returns the records that speak of a package, sorted by name, each
// with what it says about that package only. NotFound if there is no pack of e;
// Untrusted if the pack's bytes are not those that the index names.
func (s *Store) Affecting(ctx context.Context, e advisory.Ecosystem, name string) ([]*advisory.Record, error) {
	r, err := s.reader(ctx, e)
	if err != nil {
		return nil, err
	}
	rows, err := r.query.QueryContext(ctx, e.PackageName(name))
	if err != nil {
		return nil, fmt.Errorf("ask pack %q for %q: %w", e, name, err)
	}
	defer rows.Close()
	var records []*advisory.Record
	for rows.Next() {
		var body sql.RawBytes
		if err := rows.Scan(&body); err != nil {
			return nil, fmt.Errorf("ask pack %q for %q: %w", e, name, err)
		}
		record := new(advisory.Record)
		if err := json.Unmarshal(body, record); err != nil {
			return nil, fault.Errorf(fault.Invalid, "pack %q: a record of %q: %w", e, name, err)
		}
		records = append(records, record)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("ask pack %q for %q: %w", e, name, err)
	}
	return records, nil
}

func noPack(e advisory.Ecosystem) error {
	return fault.Hint(fault.Errorf(fault.NotFound, "there are no advisories for %q", e),
		"plimsoll advisories build DIR, with a source for %s in DIR", e)
}

func (s *Store) reader(ctx context.Context, e advisory.Ecosystem) (*reader, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.open[e]; r != nil {
		return r, nil
	}
	info, ok := s.index.find(e)
	if !ok {
		return nil, noPack(e)
	}
	path := filepath.Join(s.dir, fileName(info.Digest))
	if err := verify(path, info); err != nil {
		return nil, fault.Hint(fmt.Errorf("open pack %q: %w", e, err), "plimsoll advisories build DIR")
	}
	r, err := openReader(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("open pack %q: %w", e, err)
	}
	s.open[e] = r
	return r, nil
}

// verify hashes the file at path.
func verify(path string, info Info) error {
	f, err := os.Open(path)
	if err != nil {
		return fault.As(fault.Unavailable, err) // the index names it: not "nothing is known"
	}
	defer f.Close()
	got, size, err := hash(f)
	if err != nil {
		return err
	}
	if got != info.Digest || size != info.Size {
		return fault.Errorf(fault.Untrusted, "its digest is %s (%d bytes), the index names %s (%d bytes)", got, size, info.Digest, info.Size)
	}
	return nil
}

func openReader(ctx context.Context, path string) (*reader, error) {
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?mode=ro&immutable=1")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	query, err := db.PrepareContext(ctx, "SELECT body FROM advisory WHERE package = ? ORDER BY id, source")
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &reader{db: db, query: query}, nil
}
