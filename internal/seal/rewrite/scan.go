package rewrite

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"

	"plimsoll/internal/fault"
)

// Bounds of a document.
const (
	maxSize  = 4 << 20 // bytes; arguments and environment may hold 2 MiB (execve(2))
	maxDepth = 32      // the deepest that the specification has is seven
)

// check refuses what is no JSON document (RFC 8259), and what two readers may
// take for two different ones.
func check(document []byte) error {
	switch {
	case len(document) > maxSize:
		return fault.Errorf(fault.Invalid, "%d bytes: more than %d", len(document), maxSize)
	case !utf8.Valid(document):
		return fault.Errorf(fault.Invalid, "not UTF-8")
	case !json.Valid(document):
		return fault.Errorf(fault.Invalid, "not a JSON document")
	}
	_, err := walk(document, space(document, 0), 0)
	return err
}

// The functions below need a valid document.

// space returns where the next token starts.
func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// quoted returns where the string that starts at i ends.
func quoted(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// value returns where the value that starts at i ends.
func value(b []byte, i int) int {
	depth := 0
	for ; i < len(b); i++ {
		switch b[i] {
		case '"':
			i = quoted(b, i) - 1
		case '{', '[':
			depth++
			continue
		case '}', ']':
			if depth == 0 {
				return i // a number or a word before it
			}
			depth--
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
			continue
		default:
			continue
		}
		if depth == 0 {
			return i + 1
		}
	}
	return i
}

// walk checks the value that starts at i, and returns where it ends.
func walk(b []byte, i, depth int) (int, error) {
	if depth > maxDepth {
		return 0, fault.Errorf(fault.Invalid, "nested more than %d deep", maxDepth)
	}
	switch b[i] {
	case '"':
		end := quoted(b, i)
		return end, noNUL(b[i:end])
	case '{':
		return walkObject(b, i, depth)
	case '[':
		i = space(b, i+1)
		for b[i] != ']' {
			end, err := walk(b, i, depth+1)
			if err != nil {
				return 0, err
			}
			i = separator(b, end)
		}
		return i + 1, nil
	}
	return value(b, i), nil
}

func walkObject(b []byte, i, depth int) (int, error) {
	var seen names
	i = space(b, i+1)
	for b[i] != '}' {
		end := quoted(b, i)
		if err := noNUL(b[i:end]); err != nil {
			return 0, err
		}
		name := unquote(b[i:end])
		if !seen.add(name) {
			return 0, fault.Errorf(fault.Invalid, "the member %.80q twice in one object", name)
		}
		end, err := walk(b, space(b, space(b, end)+1), depth+1)
		if err != nil {
			return 0, err
		}
		i = separator(b, end)
	}
	return i + 1, nil
}

// separator returns where the next element, or the closing bracket, starts.
func separator(b []byte, i int) int {
	if i = space(b, i); b[i] == ',' {
		i = space(b, i+1)
	}
	return i
}

// noNUL refuses the one character that ends a string for programs in C.
func noNUL(quoted []byte) error {
	for i := bytes.IndexByte(quoted, '\\'); i >= 0 && i < len(quoted); i++ {
		if quoted[i] != '\\' {
			continue
		}
		if i++; bytes.HasPrefix(quoted[i:], []byte("u0000")) {
			return fault.Errorf(fault.Invalid, "a NUL in %.80q", quoted)
		}
	}
	return nil
}

// unquote returns the text of a JSON string.
func unquote(quoted []byte) string {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1])
	}
	var s string
	if json.Unmarshal(quoted, &s) != nil {
		panic("rewrite: not a checked document")
	}
	return s
}

// names is a set that is small most of the time.
type names struct {
	few  []string
	many map[string]bool
}

const fewNames = 16

// add reports whether name is new.
func (n *names) add(name string) bool {
	if n.many == nil {
		for _, f := range n.few {
			if f == name {
				return false
			}
		}
		if n.few = append(n.few, name); len(n.few) < fewNames {
			return true
		}
		n.many = make(map[string]bool, 2*fewNames)
		for _, f := range n.few {
			n.many[f] = true
		}
		return true
	}
	if n.many[name] {
		return false
	}
	n.many[name] = true
	return true
}
