package image

import "plimsoll/internal/fault"

// Caps bound what one layer may cost. A field that is zero is taken from
// [DefaultCaps].
type Caps struct {
	Bytes   int64 // plain bytes of the whole layer
	Entries int   // tar entries
	Ratio   int64 // plain bytes per compressed byte, once there are more than Grace
	Grace   int64 // plain bytes up to which Ratio is not looked at
	// Refused, if set, is told of each entry that is malformed by itself, such as
	// one whose path leaves the layer, and the walk goes on without it. If it is
	// nil, such an entry ends the walk. Of a loose image it is told what could not
	// be read, also while that is handed out; if it is nil, Walk says so at its end.
	Refused func(name string, err error)
}

// DefaultCaps are far above what real images need and far below what hurts. The
// largest layers in public use hold some 20 GiB and 1 million files. DEFLATE
// cannot do more than 1,032 : 1, and only with nothing but repetition: a layer
// that is over 1,000 for more than 1 GiB, such as a swap file of zeros in its
// first GiB, is made to cost, not to hold.
var DefaultCaps = Caps{Bytes: 32 << 30, Entries: 4_000_000, Ratio: 1000, Grace: 1 << 30}

func (c Caps) fill() Caps {
	if c.Bytes == 0 {
		c.Bytes = DefaultCaps.Bytes
	}
	if c.Entries == 0 {
		c.Entries = DefaultCaps.Entries
	}
	if c.Ratio == 0 {
		c.Ratio = DefaultCaps.Ratio
	}
	if c.Grace == 0 {
		c.Grace = DefaultCaps.Grace
	}
	return c
}

// check bounds the plain bytes that so many bytes of the blob became.
func (c Caps) check(plain, blob int64) error {
	switch {
	case plain > c.Bytes:
		return fault.Errorf(fault.Invalid, "decompression bomb: more than %d plain bytes", c.Bytes)
	case plain > c.Grace && plain/c.Ratio > blob:
		return fault.Errorf(fault.Invalid, "decompression bomb: %d plain bytes out of %d", plain, blob)
	}
	return nil
}
