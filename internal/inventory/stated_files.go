package inventory

import (
	"maps"
	"slices"
	"strings"
)

// plans returns the methods that say what somebody meant to install, and those
// that say what somebody believes to be installed.
func (r *replay) plans() (plans, notes []string) {
	isPlan, isNote := map[string]bool{}, map[string]bool{}
	for _, f := range r.files {
		for k := range f.found {
			l := &f.found[k]
			if l.Unless != "" {
				isPlan[l.Method] = true
			}
			if len(l.Claimed) > 0 {
				isNote[l.Method] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(isPlan)), slices.Sorted(maps.Keys(isNote))
}

// checkStated checks what SBOMs in the image state.
func (v *Inventory) checkStated(r *replay, layers []*Facts) {
	v.Stated = nil
	claims := map[string][]Claim{}
	for _, p := range r.sorted() {
		for k := range r.files[p].found {
			if l := &r.files[p].found[k]; len(l.Claimed) > 0 {
				claims[l.Method] = append(claims[l.Method], l.Claimed...)
			}
		}
	}
	if len(claims) == 0 {
		return
	}
	there := present(claims, layers)
	files := func(path, sum string) (string, bool) {
		f := r.files[r.resolve(path)]
		if f == nil || f.program == nil {
			return "", there[path]
		}
		algorithm, _, _ := strings.Cut(sum, ":")
		digits := map[string]string{"md5": f.program.MD5, "sha1": f.program.SHA1, "sha256": f.program.SHA256}[algorithm]
		if digits == "" {
			return "", true
		}
		return algorithm + ":" + digits, true
	}
	for _, method := range slices.Sorted(maps.Keys(claims)) {
		v.Stated = append(v.Stated, v.CheckStated(method, claims[method], files)...)
	}
}

// present says which of the files that are claimed are in the final image.
func present(claims map[string][]Claim, layers []*Facts) map[string]bool {
	there := map[string]bool{}
	for _, list := range claims {
		for i := range list {
			for _, f := range list[i].Files {
				there[f.Path] = false
			}
		}
	}
	known := &tree{}
	for _, f := range layers {
		gone := map[string]*placed{}
		for _, p := range f.Removed {
			known.remove(p, self|below, gone)
		}
		for _, p := range f.Opaque {
			known.remove(p, below, gone)
		}
		for p := range gone {
			there[p] = false
		}
		f.Paths.Each(func(p []byte, _ bool) {
			if is, asked := there[string(p)]; asked && !is {
				there[string(p)] = true
				known.add(string(p))
			}
		})
	}
	return there
}
