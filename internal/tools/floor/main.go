// Floor is the least that a scanner of an OCI layout must do, and nothing else:
// it decompresses each layer once, hashes the compressed and the plain bytes,
// and walks the tar. What a scan costs is measured against it.
//
//	floor LAYOUT TAG
package main

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/gzip"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: floor LAYOUT TAG")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintf(os.Stderr, "floor: error: %v\n", err)
		os.Exit(1)
	}
}

func run(layout, tag string) error {
	var index v1.Index
	if err := read(filepath.Join(layout, v1.ImageIndexFile), &index); err != nil {
		return err
	}
	for _, d := range index.Manifests {
		if d.Annotations[v1.AnnotationRefName] != tag {
			continue
		}
		var manifest v1.Manifest
		if err := read(filepath.Join(layout, "blobs/sha256", d.Digest.Encoded()), &manifest); err != nil {
			return err
		}
		var files, size int64
		for _, l := range manifest.Layers {
			n, err := walk(filepath.Join(layout, "blobs/sha256", l.Digest.Encoded()), &size)
			if err != nil {
				return err
			}
			files += n
		}
		fmt.Printf("%d files, %d bytes\n", files, size)
		return nil
	}
	return fmt.Errorf("%s has no image %s", layout, tag)
}

// walk reads one layer and returns how many entries it has; size grows by the
// bytes of its files.
func walk(path string, size *int64) (entries int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	blob, plain := sha256.New(), sha256.New()
	zip, err := gzip.NewReader(io.TeeReader(f, blob))
	if err != nil {
		return 0, err
	}
	whole := io.TeeReader(zip, plain)
	for t := tar.NewReader(whole); ; entries++ {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return 0, err
		}
		*size += h.Size
	}
	if _, err := io.Copy(io.Discard, whole); err != nil {
		return 0, err
	}
	if got := fmt.Sprintf("%x", blob.Sum(nil)); got != filepath.Base(path) {
		return 0, fmt.Errorf("blob %s has digest %s", path, got)
	}
	_ = plain.Sum(nil)
	return entries, nil
}

func read(path string, into any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}
