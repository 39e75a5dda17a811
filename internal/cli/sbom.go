package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"slices"

	"github.com/spf13/cobra"

	"plimsoll/internal/fault"
	"plimsoll/internal/inventory"
)

func newSBOM(env *Env) *cobra.Command {
	var platform string
	var fresh bool
	var show shown
	cmd := &cobra.Command{
		Use:   "sbom IMAGE",
		Short: "List what is in an image, from the bytes of its layers",
		Long: `List what is in an image, from the bytes of its layers: packages, what programs
and archives say is in them, and native code that is recognised by its content.
Every file that can run is accounted for: below the list stands how many of them a
package, an inventory or their content explains, and which nothing does.

Parts that could not be read are listed on standard error, and the list is then
not complete. If their bytes are not those that the image's digests name, the
exit code is 4.`,
		Example: `  plimsoll sbom registry.example.com/team/app:1.4
  plimsoll sbom oci:./layout --by layer --removed
  plimsoll sbom oci:./layout -o cyclonedx > app.cdx.json
  plimsoll sbom docker-archive:app.tar -o spdx
  plimsoll sbom dir:/srv/rootfs`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := env.knowsForm("table", "json", "cyclonedx", "spdx"); err != nil {
				return err
			}
			if show.by != "name" && show.by != "layer" {
				return fault.Hint(fault.Errorf(fault.Usage, "--by %q is no order", show.by), "name, or layer")
			}
			v, err := env.inventory(cmd.Context(), args[0], platform, fresh)
			if err != nil {
				return err
			}
			if err := env.printInventory(v, show); err != nil {
				return err
			}
			return env.incomplete(v)
		},
	}
	cmd.Flags().StringVar(&platform, "platform", "", "platform of an image of several, such as linux/arm64 (default: this machine's)")
	cmd.Flags().BoolVar(&fresh, "no-cache", false, "read every layer again")
	cmd.Flags().StringVar(&show.by, "by", "name", "order of the table: name, or layer for what each layer brought and took away")
	cmd.Flags().BoolVar(&show.removed, "removed", false, "show in the table what a later layer removed or replaced, too: its bytes still ship")
	return cmd
}

// knowsForm returns a usage error if the form of output is none of those named.
func (env *Env) knowsForm(forms ...string) error {
	if slices.Contains(forms, env.output) {
		return nil
	}
	return fault.Hint(fault.Errorf(fault.Usage, "unknown output form %q", env.output), "this command knows %s", listed(forms))
}

func listed(words []string) string {
	var b bytes.Buffer
	for i, w := range words {
		switch {
		case i > 0 && i == len(words)-1:
			b.WriteString(" and ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(w)
	}
	return b.String()
}

// inventory opens the image and scans it, with a line of progress. What goes
// wrong with kept facts is told on standard error.
func (env *Env) inventory(ctx context.Context, name, platform string, fresh bool) (*inventory.Inventory, error) {
	debug.SetGCPercent(400) // what is kept is read in milliseconds
	p := env.startProgress("scanning " + printable(name))
	defer p.finish()
	images := env.Settings.Images(p.add)
	images.Loose = true
	m, err := images.Open(ctx, name, platform)
	if err != nil {
		return nil, err
	}
	scanner, err := env.Settings.Scanner(fresh || m.Loose(), env.warn)
	if err != nil {
		return nil, err
	}
	// Of layers little is live and much passes by: a sixth less memory for the same time.
	scanner.Reading = func() { debug.SetGCPercent(60) }
	return scanner.Scan(ctx, m)
}

// printInventory writes the whole document at once: what could not be encoded
// leaves no half of one behind.
func (env *Env) printInventory(v *inventory.Inventory, show shown) error {
	var b bytes.Buffer
	var err error
	switch env.output {
	case "cyclonedx":
		err = v.WriteCycloneDX(&b)
	case "spdx":
		err = v.WriteSPDX(&b)
	default:
		return env.print(v, func(w io.Writer) { show.table(w, v) })
	}
	if err != nil {
		return err
	}
	return env.writeJSON(b.Bytes())
}

// oneLine returns s without what would break a table.
func oneLine(s string) string {
	return string(bytes.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return '\uFFFD'
		}
		return r
	}, []byte(printable(s))))
}

// incomplete lists the parts that could not be read. If their bytes were wrong,
// it returns the exit code for that.
func (env *Env) incomplete(v *inventory.Inventory) error {
	wrong := 0
	for _, u := range v.Unreadable {
		where := fmt.Sprintf("layer %d", u.Index)
		if u.Layer != "" {
			where += fmt.Sprintf(" (%s)", u.Layer)
		}
		if u.Path != "" {
			where += fmt.Sprintf(", %q", u.Path)
		}
		fmt.Fprintf(env.Err, "plimsoll: unreadable: %s: %s\n", oneLine(where), oneLine(u.Reason))
		if u.Wrong {
			wrong++
		}
	}
	switch n := len(v.Unreadable); {
	case wrong > 0:
		return fault.Hint(fault.Errorf(fault.Untrusted, "%d of %d unreadable parts are not what the image's digests name", wrong, n),
			"fetch the image again; if it stays so, somebody changed it after it was named")
	case n > 0:
		fmt.Fprintf(env.Err, "plimsoll: warning: %d %s could not be read: the list is not complete\n", n, parts(n))
	}
	return nil
}
