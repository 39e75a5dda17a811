package main

import (
	"fmt"
	"io"
	"strings"
)

// archive writes the format that the kernel unpacks into its first root
// (Documentation/driver-api/early-userspace/buffer-format.rst, "newc"). Everything
// in it belongs to root.
type archive struct {
	w     io.Writer
	inode int
	err   error
}

const (
	kindFile   = 0o100000
	kindFolder = 0o040000
	trailer    = "TRAILER!!!"
)

// folder adds an empty folder.
func (a *archive) folder(name string) { a.entry(name, kindFolder|0o755, nil) }

// file adds a file that can be executed.
func (a *archive) file(name string, content []byte) { a.entry(name, kindFile|0o755, content) }

// close ends the archive and returns the first error of writing it.
func (a *archive) close() error {
	a.entry(trailer, 0, nil)
	return a.err
}

func (a *archive) entry(name string, mode int, content []byte) {
	a.inode++
	head := fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		a.inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name)+1, 0)
	head += name + "\x00"
	a.write([]byte(head + strings.Repeat("\x00", -len(head)&3)))
	a.write(content)
	a.write(make([]byte, -len(content)&3))
}

func (a *archive) write(b []byte) {
	if a.err == nil {
		_, a.err = a.w.Write(b)
	}
}
