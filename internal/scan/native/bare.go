package native

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
)

const (
	reachBlock = 64 << 10 // bytes that are looked through at once
	maxBare    = 96       // bytes of a version that stands alone, with what is before it
)

// findBare looks for the versions that stand alone near the anchors that were
// found.
func (f *file) findBare(ctx context.Context) error {
	patterns := slices.SortedFunc(maps.Keys(f.bare), func(a, b anchored) int {
		return cmp.Or(cmp.Compare(a.rule, b.rule), cmp.Compare(a.pattern, b.pattern))
	})
	block := make([]byte, reachBlock+2*(maxBare+1))
	for _, a := range patterns {
		r := &f.rules[a.rule]
		if f.any(r.not) || !f.all(r.patterns[a.pattern].also) {
			continue // it would not count
		}
		if err := f.nearest(ctx, a, block); err != nil {
			return err
		}
	}
	return nil
}

// lone is a version that stands alone.
type lone struct {
	distance, at int64
	text         []byte
	match        []int
}

// nearest looks for the text nearest to one of the pattern's anchors that is a
// version, in blocks on both sides of it, the nearer first.
func (f *file) nearest(ctx context.Context, a anchored, block []byte) error {
	p := &f.rules[a.rule].patterns[a.pattern]
	best := lone{distance: p.Reach + 1}
	for _, at := range f.bare[a] {
		for far := int64(0); far < best.distance && (far <= at || at+far < f.content.Size()); far += reachBlock {
			if err := ctx.Err(); err != nil {
				return err
			}
			if most := min(maxReaching, minReaching+reachTimes*f.content.Size()); f.reaching > most {
				f.exceed("more than %d bytes were looked through for versions", most)
				return nil
			}
			for _, from := range [2]int64{at + far, at - far - reachBlock} {
				if err := f.inBlock(from, at, p.expression().Regexp, block, &best); err != nil {
					return err
				}
			}
		}
	}
	if best.text != nil {
		f.sight(a, p, best.text, best.match, best.at)
	}
	return nil
}

// inBlock looks for texts that re matches in the block that begins at from, some
// bytes of its neighbours included, and keeps the one nearest to at in best.
func (f *file) inBlock(from, at int64, re *regexp.Regexp, block []byte, best *lone) error {
	if from+reachBlock <= 0 || from >= f.content.Size() {
		return nil
	}
	start := max(from-maxBare-1, 0)
	n, err := f.content.ReadAt(block[:min(from+reachBlock+maxBare+1, f.content.Size())-start], start)
	if err != nil && err != io.EOF { //nolint:errorlint // io.ReaderAt returns it as it is
		return fmt.Errorf("read: %w", err)
	}
	f.reaching += int64(n)
	bareTexts(block[:n], start == 0, re, func(offset int, text []byte, match []int) {
		where := start + int64(offset)
		if d := max(where-at, at-where); d < best.distance {
			*best = lone{d, where, bytes.Clone(text), match}
		}
	})
	return nil
}

// bareTexts calls yield for every zero-terminated text in b that re matches,
// and of a long one with its last maxBare bytes: a text can stand behind a table of
// numbers without a zero between. begins says whether b begins the file.
func bareTexts(b []byte, begins bool, re *regexp.Regexp, yield func(offset int, text []byte, match []int)) {
	for from := 0; from < len(b); {
		n := bytes.IndexByte(b[from:], 0)
		if n < 0 {
			return
		}
		end := from + n
		start := max(from, end-maxBare)
		s := b[start:end]
		whole := begins || from > 0 || start > 0
		if whole && len(s) > 0 && bytes.ContainsAny(s, "0123456789") {
			if m := re.FindSubmatchIndex(s); m != nil {
				yield(start, s, m)
			}
		}
		from = end + 1
	}
}
