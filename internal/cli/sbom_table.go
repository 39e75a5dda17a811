package cli

import (
	"fmt"
	"io"
	"strings"

	"plimsoll/internal/inventory"
)

// shown is what the table of an inventory shows, and in which order.
type shown struct {
	by      string // "name" or "layer"
	removed bool   // also what is not in the final image
}

func (s shown) table(w io.Writer, v *inventory.Inventory) {
	if s.by == "layer" {
		s.byLayer(w, v)
	} else {
		s.byName(w, v)
	}
	accountsTable(w, &v.Accounts)
	secretsTable(w, v.Secrets)
	embeddedSBOMTable(w, v.Stated)
}

// secretsTable lists the secrets that somebody shipped.
func secretsTable(w io.Writer, secrets []inventory.FoundSecret) {
	minor := 0
	for i := range secrets {
		s := &secrets[i]
		if s.Minor {
			minor++
			continue
		}
		if i == minor {
			fmt.Fprintln(w, "\nSECRET\tBEGINS\tLAYER\tIN")
		}
		about := ""
		if !s.Visible {
			about = " (removed by a later layer, and still shipped)"
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\n", s.Kind, oneLine(s.Redacted), s.Index, oneLine(fmt.Sprintf("%s:%d%s", s.Path, s.Line, about)))
	}
	if minor > 0 {
		fmt.Fprintf(w, "%d more that may open nothing (encrypted, short-lived, or among samples): -o json\n", minor)
	}
}

// embeddedSBOMTable lists what SBOMs in the image state and what is not so.
func embeddedSBOMTable(w io.Writer, stated []inventory.Stated) {
	confirmed, wrong := 0, 0
	for i := range stated {
		s := &stated[i]
		switch s.Verdict {
		case inventory.Confirmed:
			confirmed++
			continue
		case inventory.Unconfirmed:
			continue
		case inventory.Contradicted, inventory.Altered, inventory.Absent:
		}
		if wrong++; wrong == 1 {
			fmt.Fprintln(w, "\nSTATED BY AN SBOM IN THE IMAGE\tVERSION\tWHICH IS\tBECAUSE OF")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", oneLine(componentName(&s.Component)), oneLine(s.Component.Version), s.Verdict, oneLine(s.Detail))
	}
	if len(stated) > 0 {
		fmt.Fprintf(w, "components that SBOMs in the image state: %d, confirmed: %d\n", len(stated), confirmed)
	}
}

func (s shown) byName(w io.Writer, v *inventory.Inventory) {
	fmt.Fprintln(w, "TYPE\tNAME\tVERSION\tLAYER\tFOUND IN")
	for i := range v.Components {
		c := &v.Components[i]
		fmt.Fprintf(w, "%s\t%d\t%s\n", columns(c), c.Evidence[0].Index, oneLine(c.Evidence[0].Path))
	}
	if !s.removed {
		return
	}
	for i := range v.Removed {
		c := &v.Removed[i]
		e := &c.Evidence[0]
		fmt.Fprintf(w, "%s\t%d\t%s (%s in layer %d)\n", columns(c), e.Index, oneLine(e.Path), e.End.How, e.End.Index)
	}
}

// columns returns the type, name and version of a component.
func columns(c *inventory.Component) string {
	name := componentName(c)
	if c.Relation == inventory.Links {
		name += " (linked)"
	}
	return fmt.Sprintf("%s\t%s\t%s", c.Type, oneLine(name), oneLine(c.Version))
}

// byLayer writes, under each layer, the components that it brought.
func (s shown) byLayer(w io.Writer, v *inventory.Inventory) {
	byLayer := make([][]string, len(v.Layers))
	add := func(layer int, line string) { byLayer[layer] = append(byLayer[layer], line) }
	for i := range v.Components {
		c := &v.Components[i]
		add(c.Evidence[0].Index, fmt.Sprintf("  %s\t%s", columns(c), oneLine(c.Evidence[0].Path)))
	}
	for i := range v.Removed {
		if !s.removed {
			break
		}
		c := &v.Removed[i]
		for _, e := range c.Evidence {
			add(e.Index, fmt.Sprintf("  %s\t%s (%s in layer %d)", columns(c), oneLine(e.Path), e.End.How, e.End.Index))
			add(e.End.Index, fmt.Sprintf("  - %s\t%s (%s, from layer %d)", columns(c), oneLine(e.Path), e.End.How, e.Index))
		}
	}
	for i := range v.Layers {
		l := &v.Layers[i]
		base := ""
		if l.Base {
			base = ", of the base image"
		}
		fmt.Fprintf(w, "layer %d  %s (%s%s)\n", i, l.Digest, byteCount(l.Size), base)
		if l.By != "" {
			fmt.Fprintf(w, "  made by: %s\n", oneLine(strings.Join(strings.Fields(l.By), " ")))
		}
		for _, line := range byLayer[i] {
			fmt.Fprintln(w, line)
		}
	}
}

// maxOpen is how many files that nothing explains a table lists.
const maxOpen = 50

// accountsTable says how the files that can run are accounted for, and lists
// those that are not.
func accountsTable(w io.Writer, a *inventory.Accounts) {
	if a.Files == 0 {
		return
	}
	if len(a.Open) > 0 {
		fmt.Fprintln(w, "\nSTANDING\tFORM\tSIZE\tLAYER\tFILE THAT CAN RUN")
	}
	for i := range a.Open {
		if i == maxOpen {
			fmt.Fprintf(w, "and %d more, with their digests: -o json\n", len(a.Open)-i)
			break
		}
		e := &a.Open[i]
		about := ""
		switch {
		case e.Reason != "":
			about = " (" + e.Reason + ")"
		case e.Package != "":
			about = " (of " + e.Package + ")"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", e.Standing, e.Form, byteCount(e.Size), e.Index, oneLine(e.Path+about))
	}
	fmt.Fprintf(w, "\n%s\n", accountsLine(a))
}

// accountsLine returns the tallies in one line.
func accountsLine(a *inventory.Accounts) string {
	var parts []string
	for _, t := range a.Tallies {
		if t.Files > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", t.Files, t.Standing))
		}
	}
	files := "files that can run are"
	if a.Files == 1 {
		files = "file that can run is"
	}
	return fmt.Sprintf("%.2f %% of %d %s explained: %s", a.Explained, a.Files, files, strings.Join(parts, ", "))
}

// byteCount writes a number of bytes for a person.
func byteCount(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}
