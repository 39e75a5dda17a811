// Package rootfs unpacks the layers of an image for containers to run from.
//
// Each layer is unpacked once per diff ID, into a folder of its own, in the form
// that overlayfs wants for a lower layer: a whiteout is a character device 0/0,
// a folder that hides what lies below has the extended attribute
// trusted.overlay.opaque. Owners are stored as the image names them, unshifted;
// so the folder that holds the layers must be closed to everyone but root, who
// alone may reach the setuid files in it.
//
// A layer is what a stranger wrote. Every name is resolved by the kernel inside
// the layer's own folder (openat2(2), RESOLVE_IN_ROOT), so that no link in it
// leads out. What cannot be kept faithfully is refused; only device nodes are
// left out, because a container has its own /dev, and the [Layer] names them: a
// whiteout stands in their place, so that what they replaced stays replaced.
//
// A layer's folder appears under its name when it is complete, its bytes are
// those that the diff ID names, and both are on disk.
package rootfs
