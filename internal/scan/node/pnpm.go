package node

import (
	"strings"

	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/metadata"
)

// pnpm reads the section packages of pnpm-lock.yaml, one key a line as pnpm
// writes it. Its keys have had three forms:
//
//	/@scope/name/1.2.3_peer:     to version 5
//	/@scope/name@1.2.3(peer):    version 6
//	'@scope/name@1.2.3':         version 9
//
// Up to version 6 an entry that is for development only says so.
func (l *list) pnpm(f scan.File) error {
	var held []inventory.Component // until it is known that they are not for development only
	inside := false
	err := metadata.Lines(f, maxLock, func(line string) error {
		indent := len(line) - len(strings.TrimLeft(line, " "))
		switch rest := line[indent:]; {
		case rest == "" || rest[0] == '#':
		case indent == 0:
			inside = rest == "packages:"
			before := held
			held = nil
			return l.Add(before...)
		case inside && indent == 2 && strings.Contains(rest, ":"):
			before := held
			held = entry(rest)
			return l.Add(before...)
		case inside && indent == 4 && rest == "dev: true":
			held = nil
		}
		return nil
	})
	if err != nil {
		return err
	}
	return l.Add(held...)
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
