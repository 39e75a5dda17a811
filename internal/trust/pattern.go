package trust

import (
	"path"
	"strings"
	"unicode/utf8"
)

// matchPath reports whether the pattern covers the target name (TUF 1.0.34, 4.5,
// PATHPATTERN): as the shell's wildcards do, none of which crosses a slash.
func matchPath(pattern, name string) bool {
	if strings.Count(pattern, "/") != strings.Count(name, "/") {
		return false
	}
	ok, err := path.Match(goPattern(pattern), name)
	return ok && err == nil
}

// goPattern returns p, a pattern as glob(7) has it, as [path.Match] reads it. The
// two differ in classes: in a glob an exclamation mark makes the complement and a
// caret is a character, a bracket or a hyphen may be one of the characters, and a
// class that does not end is none.
func goPattern(p string) string {
	var b strings.Builder
	for i := 0; i < len(p); {
		switch body, n := class(p[i:]); {
		case n > 0:
			writeClass(&b, body)
			i += n
		case p[i] == '[' || p[i] == '\\' && i+1 == len(p):
			b.WriteByte('\\')
			b.WriteByte(p[i])
			i++
		case p[i] == '\\':
			b.WriteString(p[i : i+2])
			i += 2
		default:
			b.WriteByte(p[i])
			i++
		}
	}
	return b.String()
}

// class returns what stands between the brackets of the class that p begins with,
// and the length of all of it; 0 if p begins with no class. A bracket that comes
// first is one of the characters.
func class(p string) (body string, n int) {
	if !strings.HasPrefix(p, "[") {
		return "", 0
	}
	first := 1
	if strings.HasPrefix(p[first:], "!") {
		first++
	}
	if first == len(p) {
		return "", 0
	}
	end := strings.IndexByte(p[first+1:], ']')
	if end < 0 || strings.Contains(p[1:first+1+end], "/") {
		return "", 0
	}
	return p[1 : first+1+end], first + 1 + end + 1
}

// writeClass writes the class with that body: each character escaped, a hyphen
// between two of them for a range.
func writeClass(b *strings.Builder, body string) {
	b.WriteByte('[')
	if rest, not := strings.CutPrefix(body, "!"); not {
		b.WriteByte('^')
		body = rest
	}
	for body != "" {
		_, n := utf8.DecodeRuneInString(body)
		b.WriteString("\\" + body[:n])
		if body = body[n:]; len(body) > 1 && body[0] == '-' {
			_, n := utf8.DecodeRuneInString(body[1:])
			b.WriteString("-\\" + body[1:1+n])
			body = body[1+n:]
		}
	}
	b.WriteByte(']')
}
