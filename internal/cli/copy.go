package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"plimsoll/internal/image"
)

func newCopy(env *Env) *cobra.Command {
	var platform string
	cmd := &cobra.Command{
		Use:   "copy SRC DST",
		Short: "Copy an image between registries and OCI layouts, checking every byte",
		Long: `Copy an image, byte for byte, from a registry, an OCI layout or a docker archive
to a registry or an OCI layout. Every blob is checked against its digest on the
way; if one is wrong, or anything else fails, DST names what it named before.`,
		Example: `  plimsoll copy debian:12 registry.example.com/base/debian:12
  plimsoll copy registry.example.com/team/app:1 oci:./app:1
  plimsoll copy docker-archive:app.tar registry.example.com/team/app:1 --platform linux/amd64`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if env.output != "table" && env.output != "json" {
				return env.print(nil, nil) // says what is wrong before anything is copied
			}
			src, err := image.ParseName(args[0])
			if err != nil {
				return err
			}
			dst, err := image.ParseName(args[1])
			if err != nil {
				return err
			}
			progress := env.startProgress("copying " + args[0])
			copied, err := env.Settings.Images(progress.add).Copy(cmd.Context(), src, dst, platform)
			progress.finish()
			if err != nil {
				return err
			}
			return env.printCopied(src, dst, copied)
		},
	}
	cmd.Flags().StringVar(&platform, "platform", image.AllPlatforms, "one platform of an index, as in linux/arm64, or all")
	return cmd
}

func (env *Env) printCopied(src, dst image.Name, c image.Copied) error {
	v := struct {
		Source      string `json:"source"`
		Destination string `json:"destination"`
		Digest      string `json:"digest"`
		MediaType   string `json:"mediaType"`
		Manifests   int    `json:"manifests"`
		Blobs       int    `json:"blobs"`
		Bytes       int64  `json:"bytes"`
	}{src.String(), dst.String(), string(c.Digest), c.MediaType, c.Manifests, c.Blobs, c.Bytes}
	return env.print(v, func(w io.Writer) {
		fmt.Fprintf(w, "%s\t%s\n", v.Digest, v.Destination)
	})
}
