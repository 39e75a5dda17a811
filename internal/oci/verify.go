package oci

import (
	"errors"
	"fmt"
	"hash"
	"io"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// VerifyReader returns a reader of r's content that checks it against d. It
// gives out the last byte, and so io.EOF, only if digest and length are right;
// otherwise reading ends in an Untrusted error. Closing it closes r. It must
// not be used concurrently.
func VerifyReader(r io.ReadCloser, d v1.Descriptor) io.ReadCloser {
	v := &verifier{rc: r, d: d}
	if _, err := ref.ParseDigest(string(d.Digest)); err != nil {
		v.err = err
		return v
	}
	if d.Size < 0 {
		v.err = fault.Errorf(fault.Invalid, "blob %s: negative size %d", d.Digest, d.Size)
		return v
	}
	v.hash = d.Digest.Algorithm().Hash()
	return v
}

type verifier struct {
	rc   io.ReadCloser
	d    v1.Descriptor
	hash hash.Hash
	n    int64 // bytes read
	err  error // what every further Read returns
}

func (v *verifier) Read(p []byte) (int, error) {
	if v.err != nil || len(p) == 0 {
		return 0, v.err
	}
	rest := v.d.Size - v.n
	if rest == 0 {
		v.err = v.end()
		return 0, v.err
	}
	if int64(len(p)) > rest {
		p = p[:rest]
	}
	n, err := v.rc.Read(p)
	v.n += int64(n)
	v.hash.Write(p[:n])
	switch {
	case v.n == v.d.Size:
		// The last bytes are withheld if they are wrong, so that a caller who
		// knows the length and never asks for io.EOF is not deceived.
		if v.err = v.end(); !errors.Is(v.err, io.EOF) {
			return 0, v.err
		}
		return n, nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		v.err = fault.Errorf(fault.Untrusted, "blob %s: cut short: %d of %d bytes", v.d.Digest, v.n, v.d.Size)
	case err != nil:
		v.err = fmt.Errorf("read blob %s: %w", v.d.Digest, err)
	}
	return n, v.err
}

// end returns io.EOF if nothing follows and the digest is right.
func (v *verifier) end() error {
	var more [1]byte
	for {
		n, err := v.rc.Read(more[:])
		switch {
		case n > 0:
			return fault.Errorf(fault.Untrusted, "blob %s: longer than the %d bytes it should have", v.d.Digest, v.d.Size)
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return v.compare()
		case err != nil:
			return fmt.Errorf("read blob %s: %w", v.d.Digest, err)
		}
	}
}

func (v *verifier) compare() error {
	a := v.d.Digest.Algorithm()
	if got := ref.Digest(fmt.Sprintf("%s:%x", a, v.hash.Sum(nil))); got != v.d.Digest {
		return fault.Errorf(fault.Untrusted, "blob %s: the bytes have digest %s", v.d.Digest, got)
	}
	return io.EOF
}

func (v *verifier) Close() error { return v.rc.Close() }
