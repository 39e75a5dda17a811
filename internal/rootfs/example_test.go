//go:build linux

package rootfs_test

import (
	"context"
	"fmt"
	"log"

	"plimsoll/internal/image"
	"plimsoll/internal/rootfs"
)

// Unpack needs root, for owners and whiteouts are the image's.
func ExampleStore_Unpack() {
	ctx := context.Background()
	m, err := new(image.Opener).Open(ctx, "oci:build/image", "")
	if err != nil {
		log.Fatal(err)
	}
	store, err := rootfs.NewStore("/var/lib/plimsoll/layers")
	if err != nil {
		log.Fatal(err)
	}
	layers, err := store.Unpack(ctx, m, m.Spec.RootFS.DiffIDs)
	if err != nil {
		log.Fatal(err)
	}
	for _, l := range layers { // bottom first
		fmt.Println(l.Folder, l.Entries, "entries")
	}
}
