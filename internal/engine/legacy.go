package engine

// legacy are members that clients of older versions of the API send and the
// engine's types no longer have: path in the body → further values, as JSON, that
// are taken beside the empty ones. They are not passed on.
type legacy map[string][]string

// Members of older versions, by request. docker 20.10 writes the limits of
// kernel memory into every create; before 1.44 the MAC address stood beside the
// host configuration.
var (
	legacyCreate = legacy{
		"MacAddress":                 nil, // to 1.43
		"HostConfig.KernelMemory":    nil, // to 1.41
		"HostConfig.KernelMemoryTCP": nil, // 1.40 to 1.41
		"HostConfig.Capabilities":    nil, // 1.40
		"HostConfig.DiskQuota":       nil, // to 1.35, Windows
		"HostConfig.LxcConf":         nil, // to 1.21, sent on by older clients
	}
	legacyUpdate = legacy{
		"KernelMemory":    nil, // to 1.41
		"KernelMemoryTCP": nil, // 1.40 to 1.41
		"DiskQuota":       nil,
	}
	legacyExec = legacy{
		"Detach":    {"true"}, // to 1.41: meant for the start, ignored at creation
		"Container": nil,      // to 1.24
	}
	legacyNetwork = legacy{
		"CheckDuplicate": {"true"}, // to 1.43: names are always checked
	}
)

// legacyCommit are members of a configuration before 1.44.
var legacyCommit = legacy{"MacAddress": nil}

// legacyAuth are members of credentials of older clients.
var legacyAuth = legacy{"email": nil}
