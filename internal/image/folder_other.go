//go:build !linux

package image

import (
	"errors"
	"os"
)

// mounted says that the files of a folder, which another file system holds, are
// missed.
func mounted(*os.Root) error {
	return errors.New("another file system is mounted there, which is not entered: it must be named itself")
}
