// Package seal runs a container that can do no more than its team's profile
// grants: in a user namespace of its own, with the mounts, the limits, the
// capabilities and the system calls of the profile and nothing else.
//
// # How a container comes to be
//
// [Runner.Run] makes a folder for the container, gives it a slot of user IDs and
// its cgroups, and starts this program once more, in a mount namespace of its
// own, as the stage. A process that has only just started is the one place where
// a Go program can do this work safely: credentials and namespaces belong to
// threads, and the stage stays on one. [Stage]
//
//   - makes the container's user namespace, owned by the slot's first ID, so
//     that what the kernel counts per user (inotify instances, keys, …) is counted
//     per container;
//   - stacks the image's layers and a writable folder, each through a mount that
//     maps IDs, so that disks keep unshifted IDs and nothing is chowned;
//   - opens what is to be mounted, judges what it opened, and maps it to the
//     team's own IDs on disk;
//   - writes the OCI runtime spec (see [Spec]) and becomes the runtime, which
//     makes the container and ends.
//
// All mounts live in the stage's namespace, of which only the container's copy
// is left when the runtime has ended: the kernel takes everything down with the
// container's last process. The container then is a child of [Runner.Run], which
// waits for it, passes signals on, and puts away its folder, cgroups and IDs. A
// Runner that is killed leaves a container to its successors: [Runner.Collect]
// finds folders whose lock nobody holds.
//
// Whatever this package cannot enforce it refuses.
package seal
