package match

import (
	"slices"
	"strings"

	"plimsoll/internal/advisory"
)

// hit is a record that covers a version.
type hit struct {
	record *advisory.Record
	// unclear says that the version could not be compared, so that the record
	// may apply.
	unclear bool
}

// evaluate reports whether record covers version.
func evaluate(order advisory.Order, record *advisory.Record, version string) (hit, bool) {
	h := hit{record: record}
	for i := range record.Affected {
		covered, err := record.Affected[i].Covers(order, version)
		if covered {
			return hit{record: record}, true
		}
		h.unclear = h.unclear || err != nil
	}
	return h, h.unclear
}

// merge puts hits that name each other, directly or through others, into one
// group: CVE, GHSA, GO and PYSEC records of one hole. Groups and their hits keep
// the order in which they came.
func merge(hits []hit) [][]hit {
	group := make([]int, len(hits)) // index of the first hit of its group
	byName := map[string]int{}
	for i, h := range hits {
		group[i] = i
		for _, name := range h.record.Names() {
			j, seen := byName[name]
			if !seen {
				byName[name] = i
				continue
			}
			from, to := group[i], group[j]
			from, to = max(from, to), min(from, to)
			for k := range i + 1 {
				if group[k] == from {
					group[k] = to
				}
			}
		}
	}
	var groups [][]hit
	place := map[int]int{}
	for i, h := range hits {
		n, ok := place[group[i]]
		if !ok {
			n = len(groups)
			place[group[i]] = n
			groups = append(groups, nil)
		}
		groups[n] = append(groups[n], h)
	}
	return groups
}

// names returns the best known name of a group, and all others, sorted. A CVE
// is known best; of several, that which the group's first record names first.
func names(group []hit) (id string, others []string) {
	for _, h := range group {
		for _, name := range h.record.Names() {
			if id == "" || (isCVE(name) && !isCVE(id)) {
				id = name
			}
			others = append(others, name)
		}
	}
	slices.Sort(others)
	others = slices.Compact(others)
	return id, slices.DeleteFunc(others, func(s string) bool { return s == id })
}

func isCVE(name string) bool { return strings.HasPrefix(name, "CVE-") }

// fix returns the lowest version above version that no record of the group
// covers, of those that a record names; "" if there is none. Records that know
// of no fix at all have no say, because most of them are only older.
func fix(order advisory.Order, group []hit, version string) string {
	var all []string
	var say []*advisory.Record
	for _, h := range group {
		before := len(all)
		for i := range h.record.Affected {
			above, err := h.record.Affected[i].Fixes(order, version)
			if err != nil {
				continue // the version cannot be compared
			}
			all = append(all, above...)
		}
		if len(all) > before {
			say = append(say, h.record)
		}
	}
	slices.SortFunc(all, func(a, b string) int { c, _ := order(a, b); return c }) // all were compared before
	for _, candidate := range all {
		covered := slices.ContainsFunc(say, func(r *advisory.Record) bool {
			_, hit := evaluate(order, r, candidate)
			return hit
		})
		if !covered {
			return candidate
		}
	}
	return ""
}
