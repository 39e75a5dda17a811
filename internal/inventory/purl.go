package inventory

import (
	"strings"

	"github.com/package-url/packageurl-go"
)

// PURL returns the component's package URL (purl-spec). The distribution of the
// inventory becomes the qualifier distro of its packages ("debian-12"); the
// epoch of an rpm is a qualifier, that of a deb a part of the version, as the
// types' definitions say.
func (v *Inventory) PURL(c *Component) string {
	version, qualifiers := c.Version, map[string]string{}
	if c.Kind == OS {
		if c.Arch != "" {
			qualifiers["arch"] = c.Arch
		}
		if d := v.Distro; d.ID != "" {
			qualifiers["distro"] = strings.TrimSuffix(d.ID+"-"+d.VersionID, "-")
		}
	}
	if c.Type == RPM {
		if epoch, rest, ok := strings.Cut(version, ":"); ok {
			qualifiers["epoch"], version = epoch, rest
		}
		if c.Module != "" {
			qualifiers["rpmmod"] = c.Module
		}
	}
	return packageurl.NewPackageURL(string(c.Type), c.Namespace, c.Name, version, packageurl.QualifiersFromMap(qualifiers), "").ToString()
}
