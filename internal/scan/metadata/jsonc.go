package metadata

import "io"

// Relaxed reads JSON as people write it, with comments and commas before
// closing brackets, and gives JSON as RFC 8259 has it.
type Relaxed struct {
	r     io.Reader
	state relaxed
	held  bool   // a comma that counts only if a value follows
	out   []byte // not yet given out
	in    [4 << 10]byte
}

type relaxed uint8

const (
	plain relaxed = iota
	quoted
	escaped // behind a backslash in a string
	slash   // one that may begin a comment
	line
	block
	star // one in a block comment, which may end it
)

// NewRelaxed returns a reader of what r holds.
func NewRelaxed(r io.Reader) *Relaxed { return &Relaxed{r: r} }

// Read implements [io.Reader].
func (x *Relaxed) Read(p []byte) (int, error) {
	for len(x.out) == 0 {
		n, err := x.r.Read(x.in[:])
		x.out = x.out[:0]
		for _, b := range x.in[:n] {
			x.feed(b)
		}
		if n == 0 && err != nil {
			return 0, err
		}
	}
	n := copy(p, x.out)
	x.out = x.out[n:]
	return n, nil
}

func (x *Relaxed) feed(b byte) {
	switch x.state {
	case plain:
		x.plain(b)
	case quoted, escaped:
		x.out = append(x.out, b)
		x.state = afterQuoted(x.state, b)
	case slash:
		switch b {
		case '/':
			x.state = line
		case '*':
			x.state = block
		default: // no comment: the parser will say what is wrong
			x.out = append(x.out, '/')
			x.state = plain
			x.plain(b)
		}
	case line:
		if b == '\n' {
			x.state = plain
		}
	case block, star:
		switch {
		case b == '/' && x.state == star:
			x.state = plain
		case b == '*':
			x.state = star
		default:
			x.state = block
		}
	}
}

func (x *Relaxed) plain(b byte) {
	switch b {
	case ' ', '\t', '\r', '\n':
		if !x.held {
			x.out = append(x.out, b)
		}
		return
	case '/':
		x.state = slash
		return
	}
	if x.held && b != '}' && b != ']' {
		x.out = append(x.out, ',')
	}
	if x.held = b == ','; x.held {
		return
	}
	if b == '"' {
		x.state = quoted
	}
	x.out = append(x.out, b)
}

func afterQuoted(was relaxed, b byte) relaxed {
	switch {
	case was == escaped:
		return quoted
	case b == '\\':
		return escaped
	case b == '"':
		return plain
	}
	return quoted
}
