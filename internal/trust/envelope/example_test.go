package envelope_test

import (
	"fmt"

	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
	"plimsoll/internal/trust/envelope"
)

// An image of two platforms has three manifests, its index included.
func Example() {
	formats, err := envelope.ParseFormats("sigstore,notation")
	if err != nil {
		fmt.Println(err)
		return
	}
	digest := func(n int) ref.Digest { return ref.Digest(fmt.Sprintf("sha256:%064x", n)) }
	m := trust.Image{Digest: digest(1), Platforms: []trust.Platform{
		{Platform: "linux/amd64", Manifest: digest(2)}, {Platform: "linux/arm64", Manifest: digest(3)},
	}}
	fmt.Println(envelope.Signatures(formats, &m), "signatures at most")
	// Output: 6 signatures at most
}
