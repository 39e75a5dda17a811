package seal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"plimsoll/internal/durable"
	"plimsoll/internal/fault"
	"plimsoll/internal/seal/protocol"
	"plimsoll/internal/seal/quota"
)

// volumesLimit is which grant last bounded a team's volumes. The host's next boot
// forgets it, as it does the grants.
type volumesLimit struct {
	Turn uint64 `json:"turn"`
}

const maxVolumesLimit = 1 << 10 // bytes of its file

// LimitVolumes bounds what the volumes of a grant's team may hold together. Grants
// may come in another order than the guard gave them: one that is older than the
// last never raises the bound. If the volumes hold more already, everything stays
// as it was and the error is Denied: the container does not fit.
func (g Grants) LimitVolumes(ctx context.Context, grant *protocol.Grant) (err error) {
	file := filepath.Join(g.Folder, "volumes-"+grant.Team)
	lock, err := durable.Acquire(ctx, file+".lock")
	if err != nil {
		return fault.As(fault.Unavailable, err)
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	var last volumesLimit
	b, err := durable.ReadFile(file, maxVolumesLimit)
	if err == nil {
		err = json.Unmarshal(b, &last)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.As(fault.Unavailable, fmt.Errorf("how much volumes may hold: %w", err))
	}
	newer := grant.Turn > last.Turn
	for _, root := range grant.VolumeRoots {
		if err := limitVolumes(root, grant, newer); err != nil {
			return err
		}
	}
	if !newer {
		return nil
	}
	if b, err = json.Marshal(volumesLimit{grant.Turn}); err != nil {
		return err
	}
	return durable.WriteFile(file, b, 0o600)
}

// limitVolumes sets the limit of one file system.
func limitVolumes(root string, grant *protocol.Grant, newer bool) error {
	if err := quota.Supported(root); err != nil {
		return err
	}
	before, err := quota.Usage(root, grant.TeamProject)
	if err != nil {
		return err
	}
	if !newer && before.MaxBytes != 0 && before.MaxBytes <= grant.Volumes {
		return nil
	}
	if err := quota.Bound(root, grant.TeamProject, grant.Volumes); err != nil {
		return err
	}
	now, err := quota.Usage(root, grant.TeamProject)
	if err == nil && now.Bytes > grant.Volumes {
		err = fault.Errorf(fault.Denied, "the team's volumes hold %d bytes, and its containers leave %d for them", now.Bytes, grant.Volumes)
		err = fault.Hint(err, "remove containers or volumes of the team that nobody needs")
	}
	if err != nil && before.MaxBytes != 0 {
		return errors.Join(err, quota.Bound(root, grant.TeamProject, before.MaxBytes))
	}
	return err
}
