package agent

import "plimsoll/internal/seal/quota"

func unused(path string, project uint32) error { return quota.Unused(path, project) }
