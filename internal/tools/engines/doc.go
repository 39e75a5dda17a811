// Package engines starts throw-away container engines for tests: real dockerd
// and containerd, on a [Host] that is a machine within the machine.
//
// A host is a set of namespaces (processes, mounts, network, names) with its own
// /etc and /run, so that an engine finds its usual places there and the machine
// keeps its own. Files on disk lie in one folder that has the same path inside
// and outside, which is why a docker command outside can use the engine's socket.
// The host's first process reads a pipe from whoever started it: however that one
// ends, the pipe closes, the kernel kills every process of the host, and with the
// last of them its mounts, networks and rules of packet filters are gone. What
// the kernel does not take down, control groups and the folder, [Host.Close]
// removes.
//
// It needs Linux, root, and the programs that [Missing] names.
package engines
