package pack

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"plimsoll/internal/ref"
)

// schema is the form of a pack. user_version is raised when it changes.
const schema = `
PRAGMA page_size = 4096;
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA user_version = 1;
CREATE TABLE meta (info TEXT NOT NULL);
CREATE TABLE advisory (
	package TEXT NOT NULL,
	id      TEXT NOT NULL,
	source  TEXT NOT NULL,
	body    TEXT NOT NULL,
	PRIMARY KEY (package, id, source)
) WITHOUT ROWID;`

// write makes the pack of s at path, from an empty file, in one transaction and
// in sorted order: equal rows give equal bytes.
func (s *set) write(ctx context.Context, path string, info Info) (err error) {
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath())
	if err != nil {
		return fmt.Errorf("create pack: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return fmt.Errorf("create pack: %w", err)
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("write pack: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	if err := s.insert(ctx, tx, info); err != nil {
		return fmt.Errorf("write pack: %w", err)
	}
	return tx.Commit()
}

func (s *set) insert(ctx context.Context, tx *sql.Tx, info Info) error {
	meta, err := json.Marshal(info)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO meta VALUES (?)", string(meta)); err != nil {
		return err
	}
	stmt, err := tx.PrepareContext(ctx, "INSERT INTO advisory VALUES (?, ?, ?, ?)")
	if err != nil {
		return err
	}
	defer stmt.Close()
	for _, r := range s.sorted() {
		if _, err := stmt.ExecContext(ctx, r.name, r.id, r.source, s.rows[r]); err != nil {
			return err
		}
	}
	return nil
}

// keep moves the finished file at path to its name in dir, which is its digest.
func keep(dir, path string) (ref.Digest, int64, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	digest, size, err := hash(f)
	if err != nil {
		return "", 0, err
	}
	if err := errors.Join(f.Chmod(0o444), f.Sync()); err != nil {
		return "", 0, err
	}
	if err := os.Rename(path, filepath.Join(dir, fileName(digest))); err != nil {
		return "", 0, err
	}
	return digest, size, syncDir(dir)
}

func hash(r io.Reader) (ref.Digest, int64, error) {
	h := sha256.New()
	n, err := io.Copy(h, r)
	return ref.Digest("sha256:" + hex.EncodeToString(h.Sum(nil))), n, err
}

func fileName(d ref.Digest) string { return d.Encoded() + ".db" }

// replace writes b as dir/name, whole or not at all.
func replace(dir, name string, b []byte) error {
	f, err := os.CreateTemp(dir, "."+name+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), filepath.Join(dir, name)); err != nil {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
