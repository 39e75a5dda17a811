package inventory

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strings"
)

// What one image may hold, copies by hard links included.
const (
	maxPlaced   = 1 << 21 // components and owned files
	maxPrograms = 1 << 17 // files that can run
)

// replay is the image's tree as it looks after some of the layers, kept only
// for the paths that something is known about.
type replay struct {
	files    map[string]*placed
	tree     *tree // of the paths in files
	count    int   // components and owned files that were placed so far
	programs int   // files that can run, that were
	issues   []Unreadable
	more     int     // issues beyond maxIssues
	loose    []*File // hard links of the layer at hand to what nothing is known of
	looked   int     // bytes of paths that were looked through for them
	ended    []ended
	// removed says of each type of package which layer last took a database away.
	removed map[Type]removal
}

// placed is a file as one layer wrote it.
type placed struct {
	layer   int
	symlink string
	found   []located
	program *Program
}

// located is what was found in a placed file. since[i] is the layer that first
// had component i in this path without a break.
type located struct {
	Found
	since []int32
}

// apply puts a layer over what is there. Whiteouts work on lower layers only
// (OCI image-spec, layer.md, "Whiteouts"). A path counts as replaced only where
// the layer names it literally: engines disagree about writing and removing
// through a symlinked parent, and what only some of them remove stays.
func (r *replay) apply(i int, f *Facts) {
	removed, replaced := r.cut(f)
	gone := maps.Clone(removed)
	maps.Copy(gone, replaced)
	r.note(i, gone)
	for k := range f.Files {
		file := &f.Files[k]
		if file.Hardlink != "" {
			r.link(i, file, gone)
			continue
		}
		r.place(i, file.Path, &placed{layer: i, symlink: file.Symlink, found: locate(file.Found), program: file.Program}, gone[file.Path])
	}
	r.end(i, removed, wasRemoved)
	r.end(i, replaced, wasReplaced)
}

// cut takes away what the layer hides, and what it writes something over, and
// returns both.
func (r *replay) cut(f *Facts) (removed, replaced map[string]*placed) {
	removed, replaced = map[string]*placed{}, map[string]*placed{}
	if len(r.files) == 0 {
		return removed, replaced
	}
	for _, p := range f.Removed {
		r.tree.remove(p, self|below, removed)
	}
	for _, p := range f.Opaque {
		r.tree.remove(p, below, removed)
	}
	f.Paths.Each(func(p []byte, dir bool) { r.tree.replace(p, dir, replaced) })
	for _, gone := range []map[string]*placed{removed, replaced} {
		for p := range gone {
			gone[p] = r.files[p]
			delete(r.files, p)
		}
	}
	return removed, replaced
}

// note remembers databases that layer i removed or replaced. Which of them
// matter is known when all layers are applied.
func (r *replay) note(i int, gone map[string]*placed) {
	for p, file := range gone {
		for k := range file.found {
			for c := range file.found[k].Components {
				one := &file.found[k].Components[c]
				if had := r.removed[one.Type]; one.Kind == OS && (had.path == "" || had.layer < i || p < had.path) {
					r.removed[one.Type] = removal{i, p}
				}
			}
		}
	}
}

func locate(found []Found) []located {
	out := make([]located, len(found))
	for i := range found {
		out[i].Found = found[i]
	}
	return out
}

// place writes one file. Components that were in the same path before keep the
// layer that brought them.
func (r *replay) place(i int, path string, file, before *placed) {
	n := 0
	for k := range file.found {
		n += len(file.found[k].Components) + len(file.found[k].Owned)
	}
	if r.count += n; r.count > maxPlaced {
		r.issue(i, path, "the image has more than %d components and owned files", maxPlaced)
		return
	}
	if file.program != nil {
		if r.programs++; r.programs > maxPrograms {
			file.program = nil
			r.issue(i, path, "the image has more than %d files that can run: this one is not accounted for", maxPrograms)
		}
	}
	known := since(before)
	for k := range file.found {
		l := &file.found[k]
		l.since = make([]int32, len(l.Components))
		for c := range l.Components {
			l.since[c] = int32(i) //nolint:gosec // a manifest of at most 4 MiB names fewer layers
			if first, ok := known[identify(&l.Components[c])]; ok {
				l.since[c] = first
			}
		}
	}
	r.files[path] = file
	r.tree.add(path)
}

func since(p *placed) map[identity]int32 {
	if p == nil {
		return nil
	}
	known := map[identity]int32{}
	for k := range p.found {
		for c := range p.found[k].Components {
			known[identify(&p.found[k].Components[c])] = p.found[k].since[c]
		}
	}
	return known
}

// resolve returns p with symlinks followed, as far as they are known: those at
// the top of the tree and in usr ("lib" → "usr/lib", "usr/sbin" → "usr/bin"), and
// those of os-release.
func (r *replay) resolve(p string) string {
	for range 16 {
		next := ""
		for _, end := range []int{len(p), strings.IndexByte(p, '/'), second(p)} {
			if end < 0 {
				continue
			}
			if f := r.files[p[:end]]; f != nil && f.symlink != "" {
				next = path.Join(follow(path.Dir(p[:end]), f.symlink), p[end:])
				break
			}
		}
		if next == "" {
			break
		}
		p = next
	}
	return p
}

// second returns where the second element of p ends, -1 if nothing follows it or
// the first is not usr.
func second(p string) int {
	rest, ok := strings.CutPrefix(p, "usr/")
	i := strings.IndexByte(rest, '/')
	if !ok || i < 0 {
		return -1
	}
	return len("usr/") + i
}

// follow returns where a symlink in dir leads, kept inside the root.
func follow(dir, target string) string {
	if !strings.HasPrefix(target, "/") {
		target = path.Join("/", dir, target)
	}
	return strings.TrimPrefix(path.Clean(target), "/")
}

// osRelease returns the file that says what the distribution is, and its path:
// etc/os-release or, without it, usr/lib/os-release (os-release(5)).
func (r *replay) osRelease() (string, *placed) {
	for _, p := range []string{"etc/os-release", "usr/lib/os-release"} {
		if f := r.files[r.resolve(p)]; f.distro() != nil {
			return p, f
		}
	}
	return "", nil
}

// distro returns the distribution that the file names, or nil.
func (p *placed) distro() *Distro {
	if p == nil {
		return nil
	}
	for k := range p.found {
		if d := p.found[k].Distro; d != nil {
			return d
		}
	}
	return nil
}

// sorted returns the paths in order, so that equal images give equal bytes.
func (r *replay) sorted() []string {
	paths := make([]string, 0, len(r.files))
	for p := range r.files {
		paths = append(paths, p)
	}
	slices.SortFunc(paths, func(a, b string) int {
		return cmp.Or(cmp.Compare(r.files[a].layer, r.files[b].layer), cmp.Compare(a, b))
	})
	return paths
}
