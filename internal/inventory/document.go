package inventory

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"
)

// document is what the writers of both standards share: names and dates that
// come from the image, so that equal input gives equal bytes.
type document struct {
	*Inventory
	refs []string // of Components, unique
}

func (v *Inventory) document() document {
	d := document{v, make([]string, len(v.Components))}
	seen := make(map[string]int, len(d.refs))
	for i := range v.Components {
		purl := v.PURL(&v.Components[i])
		if seen[purl]++; seen[purl] > 1 {
			d.refs[i] = fmt.Sprintf("%s#%d", purl, seen[purl])
			continue
		}
		d.refs[i] = purl
	}
	return d
}

// uuid returns a UUID of version 8 (RFC 9562, section 5.8) made from the
// manifest's digest and the standard's name.
func (d document) uuid(standard string) string {
	b := sha256.Sum256([]byte("plimsoll\x00" + standard + "\x00" + string(d.Manifest)))
	b[6] = b[6]&0x0f | 0x80
	b[8] = b[8]&0x3f | 0x80
	h := hex.EncodeToString(b[:16])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// timestamp returns when the image says that it was made, or the epoch.
func (d document) timestamp() string {
	t := d.Created
	if t.Year() < 1970 || t.Year() > 9999 {
		t = time.Unix(0, 0)
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}

// says returns one line about a part that could not be read.
func (u *Unreadable) says() string {
	where := u.Path
	if where == "" {
		where = "whole layer"
	}
	return fmt.Sprintf("%s: %q: %s", strings.TrimSpace(fmt.Sprintf("layer %d %s", u.Index, u.Layer)), where, u.Reason)
}

func write(w io.Writer, what string, encode func(io.Writer) error) error {
	if err := encode(w); err != nil {
		return fmt.Errorf("write %s document: %w", what, err)
	}
	return nil
}
