package node

import (
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/metadata"
)

// bun reads bun.lock, JSON with commas at the ends of lists. Each package is a
// list whose first element is its name and version:
//
//	"packages": {"lodash": ["lodash@4.17.21", "", {}, "sha512-…"],}
func (l *list) bun(f scan.File) error {
	f.Reader = metadata.NewRelaxed(f.Reader)
	return metadata.ReadJSON(f, maxLock, func(d metadata.JSON, key string) error {
		if key != "packages" {
			return d.Skip()
		}
		return d.Object(func(string) error {
			return d.Array(func(i int) error {
				if i > 0 {
					return d.Skip()
				}
				id, err := d.Text()
				if err != nil {
					return err
				}
				return l.Add(released(at(id))...)
			})
		})
	})
}
