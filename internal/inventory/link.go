package inventory

import (
	"fmt"
	"slices"
)

const (
	maxIssues = 1000      // that are told one by one
	maxLooked = 256 << 20 // bytes of paths that are looked through for targets of hard links
)

// issue notes a part of layer i that could not be replayed.
func (r *replay) issue(i int, path, format string, args ...any) {
	if len(r.issues) == maxIssues {
		r.more++
		return
	}
	r.issues = append(r.issues, Unreadable{Index: i, Path: path, Reason: fmt.Sprintf(format, args...)})
}

// link makes file another name of what its target is, with what was read under
// this name only. gone is what the layer hides and replaces, which may happen
// after the link is made: entries are unpacked in their order.
func (r *replay) link(i int, file *File, gone map[string]*placed) {
	target := r.target(file.Hardlink, gone)
	for _, method := range file.Wanted {
		if target == nil || !slices.ContainsFunc(target.found, func(l located) bool { return l.Method == method }) {
			r.issue(i, file.Path, "a hard link to %q, which was not read as what this name says (%s)", file.Hardlink, method)
		}
	}
	all := &placed{layer: i, found: locate(file.Found)}
	switch {
	case target != nil:
		all.symlink, all.program = target.symlink, target.program
		for k := range target.found {
			all.found = append(all.found, located{Found: target.found[k].Found})
		}
	case len(file.Wanted) == 0:
		r.loose = append(r.loose, file)
	}
	if target != nil || len(all.found) > 0 {
		r.place(i, file.Path, all, gone[file.Path])
	}
}

// target returns what is known of the path that a hard link names, nil if
// nothing is.
func (r *replay) target(path string, gone map[string]*placed) *placed {
	resolved := r.resolve(path)
	for _, p := range []string{path, resolved} {
		if f := r.files[p]; f != nil {
			return f
		}
	}
	if f := gone[path]; f != nil {
		return f
	}
	return gone[resolved]
}

// unlinked reports hard links of the last layer to what no layer has under that
// name: a link on the way may lead to it, and so a program would have a name that
// nobody accounts for.
func (r *replay) unlinked(layers []*Facts) {
	there := map[string]bool{}
	for _, f := range r.loose {
		there[f.Hardlink] = false
	}
	left := len(there)
	for _, f := range slices.Backward(layers) {
		if left == 0 || r.looked > maxLooked {
			break
		}
		r.looked += len(f.Paths)
		f.Paths.Each(func(p []byte, _ bool) {
			if is, asked := there[string(p)]; asked && !is {
				there[string(p)] = true
				left--
			}
		})
	}
	for _, f := range r.loose {
		if !there[f.Hardlink] {
			r.issue(len(layers)-1, f.Path, "a hard link to %q, which no layer has under that name", f.Hardlink)
		}
	}
	r.loose = nil
}
