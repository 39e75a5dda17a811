// Package rewrite turns what an engine asks of an OCI runtime into what the
// container's team may have: a config.json (OCI runtime-spec, config.md), the
// process of an exec, and the resources of an update. It touches nothing: what
// has to be done on the host stands in the [Plan].
//
// # What becomes of a document
//
// JSON is changed member by member. Members that this package does not know stay
// as they were: they come from the engine, which newer runtimes understand
// better than this package does. What it does know it replaces, intersects with
// the grant, leaves out, or refuses. What bounds a container is built anew from
// the grant and has no unknown members: namespaces, mounts, resources,
// capabilities, the seccomp filter.
//
// Two programs that read one document differently are a way round whoever reads
// it first. So a document is refused that has a member twice, a name that
// differs from a known one only in case (Go's decoder would take it), or a NUL
// in a string (where C's ends).
package rewrite
