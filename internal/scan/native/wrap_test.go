package native

import "plimsoll/internal/scan/scantest"

// wrap makes an ELF program of excerpts: without sections, as a stripped one, with
// a dynamic section that names what it needs and what it is called.
func wrap(excerpt []byte, needs []string, soname string) []byte {
	return scantest.Program(excerpt, needs, soname)
}
