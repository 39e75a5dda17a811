package node

import (
	"encoding/json"
	"errors"
	"io"

	"plimsoll/internal/fault"
	"plimsoll/internal/scan"
)

// document is a JSON document that is read as a stream: it never takes more
// memory than its longest value. Keys count as they are written, and of two
// equal ones the last does, as in JavaScript; encoding/json by itself would also
// take "Version" for "version".
type document struct{ *json.Decoder }

// maxNested bounds how deep documents may be nested.
const maxNested = 1000

// read calls fn for each field of the document, an object of at most limit
// bytes. fn reads the value.
func read(f scan.File, limit int64, fn func(d document, key string) error) error {
	if f.Size > limit {
		return fault.Errorf(fault.Invalid, "larger than %d bytes", limit)
	}
	d := document{json.NewDecoder(&withoutBOM{r: io.LimitReader(f, limit)})}
	start, err := d.Token()
	if err == nil && start != json.Delim('{') {
		err = errors.New("not an object")
	}
	if err == nil {
		err = d.fields(func(key string) error { return fn(d, key) })
	}
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		err = errors.New("something follows the document")
	}
	return fault.Errorf(fault.Invalid, "not valid JSON: %w", err)
}

// object calls fn for each field of the value that comes, if it is an object.
func (d document) object(fn func(key string) error) error {
	start, err := d.Token()
	switch {
	case err != nil:
		return err
	case start == json.Delim('{'):
		return d.fields(fn)
	case start == json.Delim('['):
		return d.rest()
	}
	return nil
}

// fields calls fn for each field of an object whose brace was read.
func (d document) fields(fn func(key string) error) error {
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		name, _ := key.(string)
		if err := fn(name); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

// skip reads over the value that comes.
func (d document) skip() error {
	_, err := d.scalar()
	return err
}

// scalar returns the value that comes: a string, a bool or a number, or nil for
// anything else.
func (d document) scalar() (any, error) {
	v, err := d.Token()
	if _, ok := v.(json.Delim); ok && err == nil {
		return nil, d.rest()
	}
	return v, err
}

// rest reads to the end of an object or array whose beginning was read.
func (d document) rest() error {
	for depth := 1; depth > 0; {
		v, err := d.Token()
		if err != nil {
			return err
		}
		switch v {
		case json.Delim('{'), json.Delim('['):
			if depth++; depth > maxNested {
				return errors.New("nested too deep")
			}
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
	return nil
}

// text returns the string that comes, "" if something else does.
func (d document) text() (string, error) {
	v, err := d.scalar()
	s, _ := v.(string)
	return s, err
}

// flag returns the bool that comes, false if something else does.
func (d document) flag() (bool, error) {
	v, err := d.scalar()
	b, _ := v.(bool)
	return b, err
}

// withoutBOM leaves out a byte order mark at the beginning, as npm does.
type withoutBOM struct {
	r       io.Reader
	started bool
}

// Read implements [io.Reader].
func (w *withoutBOM) Read(p []byte) (int, error) {
	if w.started || len(p) < 3 {
		w.started = true
		return w.r.Read(p)
	}
	w.started = true
	n, err := io.ReadFull(w.r, p[:3])
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil // the next call says that it ends
	}
	if n == 3 && string(p[:3]) == "\uFEFF" {
		return w.r.Read(p)
	}
	return n, err
}
