// Package shim is the OCI runtime that engines call instead of runc. It speaks
// runc's command line (runc(8)), asks the guard what a new container may have,
// puts the container together sealed (package seal), and lets runc or crun do the
// rest.
//
// What makes a container, or a process in one, is taken apart and put together
// anew: a flag that is not known is refused, since it may be one that matters.
// What only looks at a container, stops it or lets it go on is passed on as it
// is.
//
//   - create, run: asked for, rewritten, built.
//   - exec, update: rewritten as the container's grant has it, which lies in a
//     folder of root, so that no guard is needed.
//   - delete: passed on; then the grant and the control groups are put away and
//     the guard is told.
//   - restore: refused. What a checkpoint restores (namespaces, credentials,
//     mounts) comes from its files, where nothing of it can be rewritten.
//   - start, kill, state, ps, pause, resume, events, list, spec, features,
//     checkpoint: passed on.
//
// It fails closed: an error of any kind is told to the engine and nothing is
// started.
package shim
