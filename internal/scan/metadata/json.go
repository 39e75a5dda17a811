package metadata

import (
	"encoding/json"
	"errors"
	"io"

	"plimsoll/internal/fault"
	"plimsoll/internal/scan"
)

// JSON is a JSON document that is read as a stream: it never takes more
// memory than its longest value. Keys count as they are written, and of two
// equal ones the last does, as in JavaScript; encoding/json by itself would also
// take "Version" for "version".
type JSON struct{ *json.Decoder }

// maxNested bounds how deep documents may be nested.
const maxNested = 1000

// ReadJSON calls fn for each field of the document, an object of at most limit
// bytes. fn reads the value.
func ReadJSON(f scan.File, limit int64, fn func(d JSON, key string) error) error {
	if f.Size > limit {
		return fault.Errorf(fault.Invalid, "larger than %d bytes", limit)
	}
	d := JSON{json.NewDecoder(&withoutBOM{r: io.LimitReader(f, limit)})}
	start, err := d.Token()
	if err == nil && start != json.Delim('{') {
		err = errors.New("not an object")
	}
	if err == nil {
		err = d.Fields(func(key string) error { return fn(d, key) })
	}
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		err = errors.New("something follows the document")
	}
	return fault.Errorf(fault.Invalid, "not valid JSON: %w", err)
}

// Object calls fn for each field of the value that comes, if it is an object.
func (d JSON) Object(fn func(key string) error) error {
	start, err := d.Token()
	switch {
	case err != nil:
		return err
	case start == json.Delim('{'):
		return d.Fields(fn)
	case start == json.Delim('['):
		return d.Rest()
	}
	return nil
}

// Array calls fn for each element of the value that comes, if it is an array.
// fn reads the element; i counts from 0.
func (d JSON) Array(fn func(i int) error) error {
	start, err := d.Token()
	switch {
	case err != nil:
		return err
	case start == json.Delim('{'):
		return d.Rest()
	case start != json.Delim('['):
		return nil
	}
	for i := 0; d.More(); i++ {
		if err := fn(i); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// Fields calls fn for each field of an object whose brace was read.
func (d JSON) Fields(fn func(key string) error) error {
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

// Skip reads over the value that comes.
func (d JSON) Skip() error {
	_, err := d.scalar()
	return err
}

// scalar returns the value that comes: a string, a bool or a number, or nil for
// anything else.
func (d JSON) scalar() (any, error) {
	v, err := d.Token()
	if _, ok := v.(json.Delim); ok && err == nil {
		return nil, d.Rest()
	}
	return v, err
}

// Rest reads to the end of an object or array whose beginning was read.
func (d JSON) Rest() error {
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

// Text returns the string that comes, "" if something else does.
func (d JSON) Text() (string, error) {
	v, err := d.scalar()
	s, _ := v.(string)
	return s, err
}

// Flag returns the bool that comes, false if something else does.
func (d JSON) Flag() (bool, error) {
	v, err := d.scalar()
	b, _ := v.(bool)
	return b, err
}

// TextOf returns the field of the object that comes, or the string that comes
// in its place: fields that were a string once and became an object.
func (d JSON) TextOf(field string) (s string, err error) {
	v, err := d.Token()
	switch v := v.(type) {
	case string:
		return v, err
	case json.Delim:
		if v != '{' {
			return "", d.Rest()
		}
		err = d.Fields(func(key string) (err error) {
			if key != field {
				return d.Skip()
			}
			s, err = d.Text()
			return err
		})
	}
	return s, err
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
