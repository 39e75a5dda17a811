package app

import (
	"os"

	"plimsoll/internal/image"
	"plimsoll/internal/oci"
)

// Registry returns a client of registries as the settings say, with the
// credentials of the user's Docker configuration.
func (s Settings) Registry() *oci.Client {
	return oci.New(oci.Config{PlainHTTP: s.PlainHTTP})
}

// Images returns an opener of images that tells progress, unless it is nil, how
// many more bytes were read. Stores of engines are found as their own programs
// find them: by DOCKER_HOST, CONTAINERD_ROOT and CONTAINERD_NAMESPACE.
func (s Settings) Images(progress func(n int)) *image.Opener {
	return &image.Opener{
		Registry: s.Registry(), Progress: progress,
		Engine: os.Getenv("DOCKER_HOST"), Containerd: os.Getenv("CONTAINERD_ROOT"), Namespace: os.Getenv("CONTAINERD_NAMESPACE"),
	}
}
