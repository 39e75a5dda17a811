package scan_test

import (
	"context"
	"fmt"

	"plimsoll/internal/image"
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/all"
)

func Example() {
	ctx := context.Background()
	opener := &image.Opener{}
	m, err := opener.Open(ctx, "oci:layout", "linux/amd64")
	if err != nil {
		return // nothing is in the folder of this example
	}
	scanner := scan.New(scan.Config{Extractors: all.Extractors(nil), Cache: scan.Folder{Path: "cache"}})
	found, err := scanner.Scan(ctx, m)
	if err != nil {
		return
	}
	for _, c := range found.Components {
		fmt.Println(found.PURL(&c), "in layer", c.Evidence[0].Index)
	}
	if !found.Complete() {
		fmt.Println("not everything could be read:", found.Unreadable)
	}
	// Output:
}
