package main

import (
	"bytes"
	"fmt"
	"slices"
)

// Bounds of an excerpt, in bytes.
const (
	least = 64 // of a part, so that what stands round a short text is seen
	gap   = 16 // zeros between parts
)

type part struct{ from, to int }

// cut returns the bytes of content round the first place of each text, in the
// order of the file, with zeros between parts that do not touch.
func cut(content []byte, texts [][]byte, round int) ([]byte, error) {
	var parts []part
	for _, text := range texts {
		at := bytes.Index(content, text)
		if at < 0 || len(text) == 0 {
			return nil, fmt.Errorf("the file does not hold %q", text)
		}
		wide := max(round, (least-len(text)+1)/2)
		parts = append(parts, part{max(0, at-wide), min(len(content), at+len(text)+wide)})
	}
	slices.SortFunc(parts, func(a, b part) int { return a.from - b.from })
	var out []byte
	end := -1 // in content, of what is out
	for _, p := range parts {
		switch {
		case end < 0:
			end = p.from
		case p.from > end+gap:
			out = append(out, make([]byte, gap)...)
			end = p.from
		}
		if p.to > end {
			out = append(out, content[end:p.to]...)
			end = p.to
		}
	}
	return out, nil
}
