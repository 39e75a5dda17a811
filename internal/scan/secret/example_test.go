package secret_test

import (
	"context"
	"fmt"

	"plimsoll/internal/scan/scantest"
	"plimsoll/internal/scan/secret"
)

func Example() {
	netrc := "machine git.example.org\n  login jane\n  password correct-horse\n"
	found, err := secret.Extractor{}.Extract(context.Background(), scantest.File("root/.netrc", []byte(netrc)))
	if err != nil {
		return
	}
	for _, s := range found.Secrets {
		fmt.Printf("%s:%d %s %s\n", s.Path, s.Line, s.Kind, s.Redacted)
	}
	// Output: root/.netrc:3 netrc-password … (13)
}
