package node

import (
	"io"
	"strings"

	"plimsoll/internal/inventory"
)

// pnpm reads the section packages of pnpm-lock.yaml, one key a line as pnpm
// writes it. Its keys have had three forms:
//
//	/@scope/name/1.2.3_peer:     to version 5
//	/@scope/name@1.2.3(peer):    version 6
//	'@scope/name@1.2.3':         version 9
//
// Up to version 6 an entry that is for development only says so.
func pnpm(r io.Reader) ([]inventory.Component, error) {
	var out, held []inventory.Component
	inside := false
	err := eachLine(r, func(line string) {
		indent := len(line) - len(strings.TrimLeft(line, " "))
		switch rest := line[indent:]; {
		case rest == "" || rest[0] == '#':
		case indent == 0:
			out, held = append(out, held...), nil
			inside = rest == "packages:"
		case inside && indent == 2 && strings.Contains(rest, ":"):
			out, held = append(out, held...), entry(rest)
		case inside && indent == 4 && rest == "dev: true":
			held = nil
		}
	})
	return append(out, held...), err
}

func entry(line string) []inventory.Component {
	key := line
	if i := strings.LastIndex(key, ":"); i >= 0 {
		key = key[:i]
	}
	key = strings.Trim(key, `'"`)
	key, _, _ = strings.Cut(key, "(")
	key = strings.TrimPrefix(key, "/")
	scope := 0 // bytes of "@scope/"
	if strings.HasPrefix(key, "@") {
		scope = strings.IndexByte(key, '/') + 1
	}
	i := strings.IndexAny(key[scope:], "/@")
	if i < 0 {
		return nil
	}
	version, _, _ := strings.Cut(key[scope+i+1:], "_")
	return released(key[:scope+i], version)
}
