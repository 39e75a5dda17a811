package rewrite

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"plimsoll/internal/fault"
	"plimsoll/internal/seal/protocol"
)

// Process returns what becomes of the process that joins a container (the file
// of runc exec --process), and the limits that the runtime must set on itself
// before it starts it. What a command line says about a process (--cap, --user,
// …) has no such way through: such calls are to be refused.
func Process(process []byte, g *protocol.Grant, s Situation) (json []byte, limits []specs.POSIXRlimit, err error) {
	return nil, nil, fault.Errorf(fault.Internal, "not written yet")
}
