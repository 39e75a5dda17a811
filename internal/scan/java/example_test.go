package java_test

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"

	"plimsoll/internal/image"
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/java"
)

func Example() {
	var jar bytes.Buffer
	z := zip.NewWriter(&jar)
	w, _ := z.Create("META-INF/maven/org.example/shop/pom.properties")
	_, _ = io.WriteString(w, "groupId=org.example\nartifactId=shop\nversion=2.1\n")
	_ = z.Close()

	content := bytes.NewReader(jar.Bytes())
	found, err := java.Extractor{}.Extract(context.Background(), scan.File{
		Entry: image.Entry{Path: "srv/shop.jar", Type: image.Regular, Size: content.Size()},
		Spill: func() (scan.ReaderAt, error) { return content, nil },
	})
	c := found.Components[0]
	fmt.Println(c.Namespace, c.Name, c.Version, err)
	// Output: org.example shop 2.1 <nil>
}
