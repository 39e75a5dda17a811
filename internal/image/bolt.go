package image

import (
	"encoding/binary"
	"errors"
	"hash/fnv"
	"io"

	"plimsoll/internal/fault"
)

// A bolt database (go.etcd.io/bbolt, file format 2) is a tree of pages that are
// never overwritten as long as the last commit refers to them. So it can be read
// without its lock, which a running containerd never gives up: what was read is
// of one piece if there was no commit in between.
const (
	boltMagic    = 0xED0CDAED
	boltVersion  = 2
	boltHeader   = 16 // bytes before a page's content, and of each element
	boltMeta     = 64 // bytes of the content of a meta page, its checksum being the last 8
	boltMaxPage  = 64 << 10
	boltMaxRead  = 64 << 20 // bytes of a page with those that it flows over into
	boltMaxDepth = 32
	boltMaxLook  = 256 << 20 // bytes that are read for one look
	boltTries    = 20

	branchPage   = 0x01
	leafPage     = 0x02
	bucketInLeaf = 0x01
)

// bolt is a database that is only read.
type bolt struct {
	r    io.ReaderAt
	size int64
	io.Closer
}

func openBolt(path string) (*bolt, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &bolt{f, info.Size(), f}, nil
}

// View calls fn with the state of the last commit, again if there was another
// one meanwhile.
func (b *bolt) View(fn func(*boltTx) error) error {
	for range boltTries {
		tx, err := b.begin()
		if err != nil {
			return err
		}
		err = fn(tx)
		if now, again := b.begin(); again == nil && now.id == tx.id {
			return err
		}
	}
	return fault.Errorf(fault.Unavailable, "it is written to faster than it can be read")
}

// begin finds the last commit: of the two meta pages the newer one that is whole.
func (b *bolt) begin() (*boltTx, error) {
	var best *boltTx
	for size := int64(1 << 10); size <= boltMaxPage; size <<= 1 {
		for _, offset := range []int64{0, size} {
			tx := b.meta(offset)
			if tx != nil && tx.pageSize == size && (best == nil || tx.id > best.id) {
				best = tx
			}
		}
	}
	if best == nil {
		return nil, fault.Errorf(fault.Invalid, "it is not a bolt database")
	}
	return best, nil
}

// meta returns the commit that the meta page at offset speaks of, nil if it is
// none or not whole.
func (b *bolt) meta(offset int64) *boltTx {
	var page [boltHeader + boltMeta]byte
	if _, err := b.r.ReadAt(page[:], offset); err != nil {
		return nil
	}
	m := page[boltHeader:]
	sum := fnv.New64a()
	_, _ = sum.Write(m[:boltMeta-8])
	native := binary.NativeEndian
	if native.Uint32(m) != boltMagic || native.Uint32(m[4:]) != boltVersion || native.Uint64(m[56:]) != sum.Sum64() {
		return nil
	}
	return &boltTx{b: b, pageSize: int64(native.Uint32(m[8:])), root: native.Uint64(m[16:]), id: native.Uint64(m[48:])}
}

// boltTx is the state of the database after one commit.
type boltTx struct {
	b        *bolt
	pageSize int64
	root, id uint64
	read     int64 // bytes
}

// Bucket returns a bucket at the top.
func (tx *boltTx) Bucket(name string) (*boltBucket, error) {
	return (&boltBucket{tx: tx, root: tx.root}).Bucket(name)
}

// page reads a page and those that it flows over into.
func (tx *boltTx) page(id uint64) (boltPage, error) {
	limit := uint64(tx.b.size / tx.pageSize) //nolint:gosec // both are positive
	if id < 2 || id >= limit {
		return nil, fault.Errorf(fault.Invalid, "page %d of %d", id, limit)
	}
	offset := int64(id) * tx.pageSize //nolint:gosec // within the file
	var head [boltHeader]byte
	if _, err := tx.b.r.ReadAt(head[:], offset); err != nil {
		return nil, fault.As(fault.Unavailable, err)
	}
	n := (int64(binary.NativeEndian.Uint32(head[12:])) + 1) * tx.pageSize
	if binary.NativeEndian.Uint64(head[:]) != id || n > boltMaxRead || offset+n > tx.b.size {
		return nil, fault.Errorf(fault.Invalid, "page %d is damaged", id)
	}
	if tx.read += n; tx.read > boltMaxLook {
		return nil, fault.Errorf(fault.Invalid, "more than %d bytes to read", boltMaxLook)
	}
	p := make(boltPage, n)
	if _, err := tx.b.r.ReadAt(p, offset); err != nil {
		return nil, fault.As(fault.Unavailable, err)
	}
	return p, nil
}

// boltBucket is a bucket: a tree of pages of its own or, if it is small, one
// page inside its parent's.
type boltBucket struct {
	tx     *boltTx
	root   uint64
	inline boltPage
}

func (b *boltBucket) top() (boltPage, error) {
	if b.root == 0 {
		return b.inline, nil
	}
	return b.tx.page(b.root)
}

// Bucket returns the bucket at the end of a path of names, NotFound if one is
// not there.
func (b *boltBucket) Bucket(names ...string) (*boltBucket, error) {
	for _, name := range names {
		flags, v, err := b.find(name)
		if err != nil {
			return nil, err
		}
		if flags&bucketInLeaf == 0 || len(v) < boltHeader {
			return nil, fault.Errorf(fault.Invalid, "%q is not a bucket", name)
		}
		b = &boltBucket{tx: b.tx, root: binary.NativeEndian.Uint64(v), inline: v[boltHeader:]}
	}
	return b, nil
}

// Get returns the value of a key, NotFound if there is none.
func (b *boltBucket) Get(key string) ([]byte, error) {
	flags, v, err := b.find(key)
	if err == nil && flags&bucketInLeaf != 0 {
		err = fault.Errorf(fault.Invalid, "%q is a bucket", key)
	}
	return v, err
}

// find goes down to the leaf that key would be in.
func (b *boltBucket) find(key string) (flags uint32, value []byte, err error) {
	p, err := b.top()
	for range boltMaxDepth {
		if err != nil {
			return 0, nil, err
		}
		switch p.flags() {
		case leafPage:
			return p.leaf(key)
		case branchPage:
			id, bad := p.branch(key)
			if p, err = nil, bad; bad == nil {
				p, err = b.tx.page(id)
			}
		default:
			return 0, nil, errBoltPage
		}
	}
	return 0, nil, fault.Errorf(fault.Invalid, "pages are nested deeper than %d", boltMaxDepth)
}

// Names returns the names of all buckets in b; more than limit are
// Invalid.
func (b *boltBucket) Names(limit int) ([]string, error) {
	p, err := b.top()
	if err != nil {
		return nil, err
	}
	var names []string
	err = b.each(p, 0, func(flags uint32, key []byte) error {
		if flags&bucketInLeaf == 0 {
			return nil
		}
		if names = append(names, string(key)); len(names) > limit {
			return fault.Errorf(fault.Invalid, "more than %d buckets", limit)
		}
		return nil
	})
	return names, err
}

func (b *boltBucket) each(p boltPage, depth int, fn func(flags uint32, key []byte) error) error {
	if depth > boltMaxDepth {
		return fault.Errorf(fault.Invalid, "pages are nested deeper than %d", boltMaxDepth)
	}
	for i := range p.count() {
		e, err := p.element(i)
		if err != nil {
			return err
		}
		if p.flags() == leafPage {
			if err := fn(e.flags, e.key); err != nil {
				return err
			}
			continue
		}
		below, err := b.tx.page(e.page)
		if err != nil {
			return err
		}
		if err := b.each(below, depth+1, fn); err != nil {
			return err
		}
	}
	return nil
}

var errBoltPage = fault.Errorf(fault.Invalid, "a page is damaged")

// boltPage is the bytes of a page.
type boltPage []byte

func (p boltPage) flags() uint16 {
	if len(p) < boltHeader {
		return 0
	}
	return binary.NativeEndian.Uint16(p[8:])
}

func (p boltPage) count() int {
	if len(p) < boltHeader {
		return 0
	}
	return int(binary.NativeEndian.Uint16(p[10:]))
}

// boltElement is an entry of a page: of a leaf a key with its value, of a branch
// the first key of another page.
type boltElement struct {
	key, value []byte
	flags      uint32
	page       uint64
}

func (p boltPage) element(i int) (boltElement, error) {
	at := boltHeader * (1 + i)
	if at+boltHeader > len(p) {
		return boltElement{}, errBoltPage
	}
	native, raw := binary.NativeEndian, p[at:]
	if p.flags() == branchPage {
		key, _, ok := cut(raw, native.Uint32(raw), native.Uint32(raw[4:]), 0)
		if !ok {
			return boltElement{}, errBoltPage
		}
		return boltElement{key: key, page: native.Uint64(raw[8:])}, nil
	}
	key, value, ok := cut(raw, native.Uint32(raw[4:]), native.Uint32(raw[8:]), native.Uint32(raw[12:]))
	if !ok || p.flags() != leafPage {
		return boltElement{}, errBoltPage
	}
	return boltElement{key: key, value: value, flags: native.Uint32(raw)}, nil
}

// cut returns the key and the value that begin at an offset of b.
func cut(b []byte, at, key, value uint32) (k, v []byte, ok bool) {
	begin, middle, end := uint64(at), uint64(at)+uint64(key), uint64(at)+uint64(key)+uint64(value)
	if end > uint64(len(b)) {
		return nil, nil, false
	}
	return b[begin:middle], b[middle:end], true
}

// leaf returns the value of key in a leaf.
func (p boltPage) leaf(key string) (flags uint32, value []byte, err error) {
	for i := range p.count() {
		e, err := p.element(i)
		if err != nil {
			return 0, nil, err
		}
		if string(e.key) == key {
			return e.flags, e.value, nil
		}
	}
	return 0, nil, fault.Errorf(fault.NotFound, "there is no %q", key)
}

// branch returns the page that holds key, if any does: the last whose first key
// is not greater.
func (p boltPage) branch(key string) (page uint64, err error) {
	for i := range p.count() {
		e, err := p.element(i)
		if err != nil {
			return 0, err
		}
		if i > 0 && string(e.key) > key {
			break
		}
		page = e.page
	}
	return page, nil
}
