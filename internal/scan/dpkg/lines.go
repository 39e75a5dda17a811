package dpkg

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"sync"
)

// readers are buffers of one line: an image has thousands of small lists.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, lineSize) }}

// lines calls fn with each line without its end. Of a line that is too long, fn
// sees the beginning, and that it is not whole.
func lines(r io.Reader, fn func(line []byte, whole bool) error) error {
	b, _ := readers.Get().(*bufio.Reader)
	b.Reset(r)
	defer func() {
		b.Reset(nil)
		readers.Put(b)
	}()
	for {
		line, err := b.ReadSlice('\n')
		whole := !errors.Is(err, bufio.ErrBufferFull)
		if len(line) > 0 {
			if err := fn(bytes.TrimSuffix(line, []byte("\n")), whole); err != nil {
				return err
			}
		}
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = b.ReadSlice('\n')
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
