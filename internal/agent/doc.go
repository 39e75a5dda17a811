// Package agent is the guard's memory, and what it answers the runtime.
//
// The memory says whose a container, a volume, a network, a tag is, and which
// repository and digest an engine's image came from. It is one small file for
// each thing, written whole or not at all before anybody is told; what is not in
// it is nobody's.
//
// [Agent.Judge] asks the gate about an image by all that an engine knows of it, and
// repeats an answer for a while: never longer than the evidence holds, and never
// under another policy. Each answer is recorded, repeated ones too.
//
// [Server] listens for the runtime (package seal/protocol), which asks before a
// container comes to be. The container's ID leads to its record, its cgroup to a
// build, and what has neither belongs to nobody: then the policy's rule for that
// decides. What the engine itself has written down about the container must agree
// with the record. Whatever is not known, not readable or not in time is refused.
package agent
