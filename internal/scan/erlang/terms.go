package erlang

import (
	"strings"

	"plimsoll/internal/fault"
)

// terms splits Erlang terms as they are written into tokens: what text they
// hold is all that is asked, so numbers and atoms are one, and strings keep the
// quote that they begin with.
type terms struct{ rest string }

// next returns the next token, "" at the end.
func (t *terms) next() string {
	for t.rest != "" {
		switch c := t.rest[0]; c {
		case ' ', '\t', '\r', '\n':
			t.rest = t.rest[1:]
		case '%':
			_, t.rest, _ = strings.Cut(t.rest, "\n")
		case '"':
			return t.quoted('"')
		case '\'':
			return strings.TrimPrefix(t.quoted('\''), "'")
		case '<', '>':
			if len(t.rest) > 1 && t.rest[1] == c {
				return t.take(2)
			}
			return t.take(1)
		case '{', '}', '[', ']', '(', ')', ',', '.', '|':
			return t.take(1)
		default:
			i := strings.IndexAny(t.rest, " \t\r\n%\"'<>{}[](),.|")
			if i < 0 {
				i = len(t.rest)
			}
			return t.take(i)
		}
	}
	return ""
}

func (t *terms) take(n int) string {
	s := t.rest[:n]
	t.rest = t.rest[n:]
	return s
}

// quoted reads to the quote that ends what one begins, and returns the text
// behind the first.
func (t *terms) quoted(quote byte) string {
	var b strings.Builder
	b.WriteByte(quote)
	for i := 1; i < len(t.rest); i++ {
		switch t.rest[i] {
		case quote:
			t.rest = t.rest[i+1:]
			return b.String()
		case '\\':
			i++
			if i < len(t.rest) {
				b.WriteByte(t.rest[i])
			}
		default:
			b.WriteByte(t.rest[i])
		}
	}
	t.rest = ""
	return b.String()
}

// text returns what a string token says.
func (*terms) text(token string) (string, error) {
	s, ok := strings.CutPrefix(token, `"`)
	if !ok {
		return "", fault.Errorf(fault.Invalid, "%.40q stands where a version is due", token)
	}
	return s, nil
}
