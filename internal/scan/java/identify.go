package java

import (
	"crypto/sha1" //nolint:gosec // the form that tables of Java archives come in, no security
	"io"
	"path"
	"slices"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/inventory"
)

// How sure it is that an archive is what was concluded; a record of its own is 1.
const (
	byTable    = 0.9 // name and classes are those of a well-known one
	byManifest = 0.8 // the manifest names a group
	byClasses  = 0.5 // the group is where its classes are
	byName     = 0.3 // nothing tells the group
)

// record is what one pom.properties or pom.xml says.
type record struct {
	coordinates
	path string
}

// identify records what the archive is and what was merged into it.
func (w *walker) identify(j *jar) {
	kind := inventory.Library
	if len(j.listing.nested) > 0 && j.depth == 0 {
		kind = inventory.Application
	}
	file := nameOf(j)
	records := w.records(j)
	self := j.self(records, file)
	if self < 0 {
		c, confidence := w.guess(j, file, len(records) > 0)
		self = slices.IndexFunc(records, func(r record) bool { return r.group == c.group && r.artifact == c.artifact })
		switch {
		case self >= 0:
		case c.artifact != "":
			w.add(c.component(kind), j.outer, j.inner, confidence)
		case len(records) == 1:
			self = 0
		}
	}
	for i, r := range records {
		if i == self {
			r.version = j.version(r.version, file.version)
			w.add(r.component(kind), j.outer, j.inner, 1)
		} else {
			w.add(r.component(inventory.Library), j.outer, j.at(r.path), 1)
		}
	}
}

// fileName is what the name of an archive says of it.
type fileName struct{ stem, artifact, version string }

func nameOf(j *jar) fileName {
	if !named(j.name()) {
		return fileName{}
	}
	f := fileName{stem: strings.TrimSuffix(j.name(), path.Ext(j.name()))}
	f.artifact, f.version = split(f.stem)
	return f
}

// version returns the first version that is one: the record's, the file name's,
// the manifest's. A file's name may hold less of it than the manifest.
func (j *jar) version(recorded, inName string) string {
	if recorded != "" {
		return recorded
	}
	stated := j.manifest.version("implementation-version", "plugin-version", "bundle-version", "specification-version")
	rest, more := strings.CutPrefix(stated, inName+".")
	if inName == "" || (more && strings.Trim(rest, ".0") != "") || (strings.HasSuffix(inName, ".x") && stated != "") {
		return stated
	}
	return inName
}

// records returns what Maven left: pom.properties, and pom.xml where that is
// alone.
func (w *walker) records(j *jar) (out []record) {
	seen := map[string]bool{}
	add := func(e *entry, c coordinates) {
		dir := path.Dir(e.name)
		seen[dir] = true
		if c.artifact == "" {
			c.artifact = path.Base(dir)
		}
		if c.group == "" {
			c.group = path.Base(path.Dir(dir))
		}
		if !slices.ContainsFunc(out, func(r record) bool { return r.coordinates == c }) {
			out = append(out, record{c, e.name})
		}
	}
	for i := range j.listing.records {
		e := &j.listing.records[i]
		b, err := w.bytes(j.archive, e, maxRecord)
		if err != nil {
			w.failed(j.at(e.name), err)
			continue
		}
		add(e, readProperties(b).clean())
	}
	for i := range j.listing.poms {
		e := &j.listing.poms[i]
		if seen[path.Dir(e.name)] {
			continue
		}
		b, err := w.bytes(j.archive, e, maxPOM)
		if err == nil {
			var c coordinates
			if c, err = readPOM(b); err == nil {
				add(e, c)
				continue
			}
			err = fault.Errorf(fault.Invalid, "not a project of Maven's: %w", err)
		}
		w.failed(j.at(e.name), err)
	}
	return out
}

// self returns the record that the file's name or the manifest confirms to be
// the archive's own, -1 if none is.
func (j *jar) self(records []record, file fileName) int {
	best, at := 0, -1
	for i, r := range records {
		n := 0
		switch {
		case r.artifact == file.artifact && r.version == file.version && file.version != "":
			n = 4
		case r.artifact == file.artifact || r.artifact == file.stem:
			n = 3
		case r.artifact == j.manifest["implementation-title"] || r.artifact == j.manifest["bundle-name"] ||
			r.group+"."+r.artifact == j.word("bundle-symbolicname") || r.artifact == j.word("short-name", "extension-name"):
			n = 2
		case strings.HasPrefix(file.stem, r.artifact+"-"):
			n = 1
		}
		if n > best {
			best, at = n, i
		}
	}
	return at
}

// guess returns what an archive is that has no record of its own. merged says
// that it has records of others: then only what is well known counts.
func (w *walker) guess(j *jar, file fileName, merged bool) (coordinates, float64) {
	if c, ok := w.byHash(j); ok {
		return c, 1
	}
	if c, ok := w.wellKnown(j, file); ok && j.listing.packages.any {
		return c, byTable
	} else if ok {
		return c, byClasses
	}
	c := coordinates{artifact: file.artifact, version: j.version("", file.version)}
	if merged || c.version == "" {
		return coordinates{}, 0
	}
	if title := j.word("short-name", "implementation-title", "specification-title"); title != "" && (file.version == "" || j.manifest["plugin-version"] != "") {
		c.artifact = title
	}
	if c.group = j.groupStated(); c.group != "" {
		return c, byManifest
	}
	if c.artifact == "" {
		return coordinates{}, 0
	}
	if c.group = j.listing.packages.group(c.artifact); c.group != "" {
		return c, byClasses
	}
	return j.ungrouped(c, file)
}

// ungrouped returns c with the group that its name as a bundle begins with, or
// with its own name, as artifacts had that are older than the custom of domains.
// A file whose name states no version must be a bundle to count at all.
func (j *jar) ungrouped(c coordinates, file fileName) (coordinates, float64) {
	if group, ok := strings.CutSuffix(j.word("bundle-symbolicname"), "."+c.artifact); ok && group != "" {
		c.group = group
		return c, byName
	}
	if file.version == "" {
		return coordinates{}, 0
	}
	c.group = c.artifact
	return c, byName
}

// groupStated returns the group that the manifest names: as plugins of Jenkins
// do, or as sbt does. An Implementation-Vendor-Id of two elements is rather a
// domain.
func (j *jar) groupStated() string {
	if g := j.word("group-id"); g != "" {
		return g
	}
	if g := j.word("implementation-vendor-id"); strings.Count(g, ".") > 1 {
		return g
	}
	return ""
}

// wellKnown looks the archive up by what it goes by, and believes that only if
// it has the classes, or none at all.
func (w *walker) wellKnown(j *jar, file fileName) (coordinates, bool) {
	for _, name := range []string{file.stem, file.artifact, j.word("implementation-title"), j.word("bundle-symbolicname"), j.word("automatic-module-name")} {
		version := j.version("", file.version)
		if name == file.stem && name != file.artifact {
			version = j.version("", "") // what looked like one is a part of the name
		}
		for _, k := range wellKnown()[name] {
			if k.had(version) && (!j.listing.packages.any || strings.HasPrefix(j.listing.packages.common, k.folder) || j.has(&w.spans, k.folder)) {
				return coordinates{k.group, k.artifact, version}, true
			}
		}
	}
	return coordinates{}, false
}

// byHash looks the archive up by its SHA-1.
func (w *walker) byHash(j *jar) (coordinates, bool) {
	sum := sha1.New() //nolint:gosec // see above
	if _, err := io.Copy(sum, io.NewSectionReader(j.r, 0, j.size)); err != nil {
		return coordinates{}, false
	}
	for _, h := range []Hashes{w.hashes, builtIn()} {
		if h == nil {
			continue
		}
		if group, artifact, version, ok := h.Lookup([sha1.Size]byte(sum.Sum(nil))); ok {
			return coordinates{group, artifact, version}, true
		}
	}
	return coordinates{}, false
}
