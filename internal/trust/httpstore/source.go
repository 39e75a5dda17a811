package httpstore

import (
	"context"
	"net/url"
	"strings"
	"sync/atomic"

	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
)

// Source is a server that has the collections of many GUNs: the files of one lie
// below "<base>/<GUN>/_trust/", as [trust.Folder] writes them. It may be used
// concurrently.
type Source struct{ files *Files }

var _ trust.Source = (*Source)(nil)

// NewSource returns the source at cfg.Base. Usage as for [NewFiles].
func NewSource(cfg Config) (*Source, error) {
	f, err := NewFiles(cfg)
	if err != nil {
		return nil, err
	}
	return &Source{f}, nil
}

const (
	timestampFile = trust.RoleTimestamp + ".json"
	maxTimestamp  = 64 << 10 // bytes; the client's own limit comes after it
)

// Load implements [trust.Source]: a collection is there if its timestamp is.
func (s *Source) Load(ctx context.Context, gun ref.GUN) (trust.Collection, error) {
	files := *s.files
	for element := range strings.SplitSeq(string(gun), "/") {
		files.base += "/" + url.PathEscape(element)
	}
	files.base += "/_trust"
	first, err := files.Read(ctx, timestampFile, maxTimestamp)
	if err != nil {
		return nil, err
	}
	c := &collection{files: &files}
	c.first.Store(&first)
	return c, nil
}

// collection is one GUN's files. The timestamp that told that it is there is
// given out once instead of being asked for again, unless a root was read
// between: that may have changed who signs timestamps.
type collection struct {
	files *Files
	first atomic.Pointer[[]byte]
}

// Read implements [trust.Collection].
func (c *collection) Read(ctx context.Context, name string, limit int64) ([]byte, error) {
	if name == timestampFile {
		if first := c.first.Swap(nil); first != nil && int64(len(*first)) > limit {
			return nil, tooLong(name, limit)
		} else if first != nil {
			return *first, nil
		}
	}
	b, err := c.files.Read(ctx, name, limit)
	if err == nil && strings.HasSuffix(name, "."+trust.RoleRoot+".json") {
		c.first.Store(nil)
	}
	return b, err
}
