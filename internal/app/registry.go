package app

import (
	"plimsoll/internal/image"
	"plimsoll/internal/oci"
)

// Registry returns a client of registries as the settings say, with the
// credentials of the user's Docker configuration.
func (s Settings) Registry() *oci.Client {
	return oci.New(oci.Config{PlainHTTP: s.PlainHTTP})
}

// Images returns an opener of images that tells progress, unless it is nil, how
// many more bytes were read.
func (s Settings) Images(progress func(n int)) *image.Opener {
	return &image.Opener{Registry: s.Registry(), Progress: progress}
}
