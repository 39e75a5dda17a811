package exe

import "encoding/binary"

// readWasm reads where the custom sections lie (WebAssembly core specification,
// section 5.5).
func (i *Info) readWasm(s *source) {
	for at := int64(8); at < s.size && len(i.sections) < maxSections; {
		head := s.bytes(Range{at, min(16, s.size-at)}, 16)
		if len(head) == 0 {
			return
		}
		size, n := binary.Uvarint(head[1:])
		body := at + 1 + int64(n)
		if n <= 0 || size > uint64(s.size-body) { //nolint:gosec // body is at most s.size
			return
		}
		if head[0] == 0 {
			i.wasmSection(s, Range{body, clamp(size)})
		}
		at = body + clamp(size)
	}
}

func (i *Info) wasmSection(s *source, r Range) {
	head := s.bytes(Range{r.Offset, min(r.Size, 256)}, 256)
	length, n := binary.Uvarint(head)
	if n <= 0 || length > uint64(len(head)-n) { //nolint:gosec // n is at most len(head)
		return
	}
	end := n + int(length) //nolint:gosec // at most len(head)
	i.sections = append(i.sections, named{string(head[n:end]), Range{r.Offset + int64(end), r.Size - int64(end)}})
}
