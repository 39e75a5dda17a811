package scan

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
)

// Config says how to scan. The zero value of every field but Extractors is
// filled in.
type Config struct {
	Extractors []Extractor
	Cache      Cache         // of layers' facts; nil keeps none
	Caps       image.Caps    // what one layer may cost
	Parallel   int           // layers at a time; 0 means one for each processor, at most eight
	Bad        inventory.Bad // files that are known to be bad, nil for none
	Reading    func()        // called before layers of an image are read whose inventory is not kept, or nil
	Warn       func(error)   // told what went wrong with the cache, which never fails a scan; may be called concurrently
}

// Scanner scans images. It may be used concurrently.
type Scanner struct {
	Config
}

// New returns a scanner.
func New(c Config) *Scanner {
	if c.Parallel <= 0 {
		c.Parallel = min(8, runtime.GOMAXPROCS(0))
	}
	if c.Cache == nil {
		c.Cache = noCache{}
	}
	if c.Warn == nil {
		c.Warn = func(error) {}
	}
	c.Extractors = append([]Extractor{osRelease{}}, c.Extractors...)
	return &Scanner{c}
}

// walker is the part of [image.Image] that reads layers.
type walker interface {
	Walk(ctx context.Context, i int, caps image.Caps, fn func(image.Entry, io.Reader) error) (image.Walked, error)
}

// Scan returns what is in m. Parts that are malformed, over a cap, or not what
// their digest says are listed in the inventory, and what could be read is
// there; it is an error only if the bytes could not be got at (Unavailable,
// NotFound) or ctx ended.
func (s *Scanner) Scan(ctx context.Context, m *image.Image) (*inventory.Inventory, error) {
	key := s.imageKey(m)
	v, err := loadInventory(s.Cache, key, m)
	if v != nil {
		return v, nil
	}
	if err != nil {
		s.Warn(err)
	}
	if fault.Is(err, fault.Denied) { // nor would anything else be taken from there
		alone := *s
		alone.Cache = noCache{}
		s = &alone
	}
	if s.Reading != nil {
		s.Reading()
	}
	v, lasting, err := s.scan(ctx, m, m)
	if err == nil && lasting && key != "" {
		if err := storeInventory(s.Cache, key, v); err != nil {
			s.Warn(err)
		}
	}
	return v, err
}

// scan reads the layers. lasting says that the inventory may be kept.
func (s *Scanner) scan(ctx context.Context, m *image.Image, w walker) (v *inventory.Inventory, lasting bool, err error) {
	facts := make([]*inventory.Facts, len(m.Layers))
	first := map[string]int{} // the same layer is read once, however often it comes
	var total atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(s.Parallel)
	for i := range m.Layers {
		key := s.key(m.Layers[i])
		if _, again := first[key]; again {
			continue
		}
		first[key] = i
		group.Go(func() (err error) {
			facts[i], err = s.facts(ctx, m.Layers[i], i, w)
			if err == nil && total.Add(facts[i].Weight()) > maxImage {
				facts[i] = tooMuch(facts[i])
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, false, err
	}
	lasting = total.Load() <= maxKeptImage
	for i := range facts {
		if facts[i] == nil {
			same := *facts[first[s.key(m.Layers[i])]]
			facts[i] = &same
		}
		lasting = lasting && facts[i].Lasting()
	}
	v = describe(m)
	claims(m, facts)
	v.Merge(facts, s.Bad)
	return v, lasting && len(v.Unreadable) == 0, nil
}

// maxKeptImage is the weight of all layers up to which an inventory is kept: see
// [maxKept].
const maxKeptImage = 4 * maxKept

// maxImage bounds what is known about all layers of one image together, bytes.
const maxImage = 256 << 20

// tooMuch returns in place of f that it was too much.
func tooMuch(f *inventory.Facts) *inventory.Facts {
	return &inventory.Facts{Digest: f.Digest, DiffID: f.DiffID, Size: f.Size, Unreadable: []inventory.Unreadable{
		{Reason: fmt.Sprintf("what is known about the image's layers takes more than %d bytes", maxImage)},
	}}
}

// facts returns those of one layer, from the cache or by walking it.
func (s *Scanner) facts(ctx context.Context, d v1.Descriptor, i int, w walker) (*inventory.Facts, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if d.Digest == "" { // a folder or a file: nothing says what it is
		alone := *s
		alone.Cache = noCache{}
		s = &alone
	}
	key := s.key(d)
	if f, err := load(s.Cache, key, d.Digest); err != nil {
		s.Warn(err)
	} else if f != nil {
		return f, nil
	}
	f, err := s.walk(ctx, i, w)
	f.Digest = d.Digest
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case fault.Is(err, fault.Untrusted), fault.Is(err, fault.Invalid):
		f.DiffID = ""
		reason := strings.TrimPrefix(err.Error(), fmt.Sprintf("layer %d (%s): ", i, d.Digest)) // which is said anyway
		f.Unreadable = append(f.Unreadable, inventory.Unreadable{Reason: reason, Wrong: fault.Is(err, fault.Untrusted)})
		return f, nil
	default:
		return nil, fmt.Errorf("scan: %w", err)
	}
	if f.Lasting() && f.Weight() <= maxKept {
		if err := store(s.Cache, key, f); err != nil {
			s.Warn(err)
		}
	}
	return f, nil
}

// describe returns the inventory without what the layers tell.
func describe(m *image.Image) *inventory.Inventory {
	v := &inventory.Inventory{
		Image: m.Name, Manifest: m.Manifest.Digest, Platform: m.Spec.OS + "/" + m.Spec.Architecture,
		Layers: make([]inventory.Layer, len(m.Layers)),
	}
	if m.Spec.Variant != "" {
		v.Platform += "/" + m.Spec.Variant
	}
	if m.Spec.Created != nil {
		v.Created = m.Spec.Created.UTC()
	}
	i := 0
	for k := range m.Spec.History {
		if !m.Spec.History[k].EmptyLayer && i < len(v.Layers) {
			v.Layers[i].By = m.Spec.History[k].CreatedBy
			i++
		}
	}
	for k := range base(m.Spec.History, len(v.Layers)) {
		v.Layers[k].Base = true
	}
	return v
}

// base returns how many of the n layers seem to come from the image that this
// one was built from: a Dockerfile says what to run at its end, so what lies
// above a CMD or ENTRYPOINT was added by another one.
func base(history []v1.History, n int) (under int) {
	layers := 0
	for _, h := range history {
		switch {
		case !h.EmptyLayer:
			layers++
		case layers < n && (strings.Contains(h.CreatedBy, "CMD [") || strings.Contains(h.CreatedBy, "ENTRYPOINT [")):
			under = layers
		}
	}
	return under
}

// claims compares the diff IDs that the config states with those that we
// computed: a config that speaks of other layers is wrong evidence.
func claims(m *image.Image, facts []*inventory.Facts) {
	stated := m.Spec.RootFS.DiffIDs
	for i, f := range facts {
		var reason string
		switch {
		case i >= len(stated):
			reason = fmt.Sprintf("the config states %d layers, the manifest has %d", len(stated), len(facts))
		case f.DiffID != "" && stated[i] != f.DiffID:
			reason = fmt.Sprintf("the config states diff ID %s, the layer's is %s", stated[i], f.DiffID)
		case i == len(facts)-1 && len(stated) > len(facts):
			reason = fmt.Sprintf("the config states %d layers, the manifest has %d", len(stated), len(facts))
		}
		if reason != "" {
			f.Unreadable = append(slices.Clip(f.Unreadable), inventory.Unreadable{Reason: reason, Wrong: true})
		}
	}
}
