// Package debian takes packages from the archives of Debian and Ubuntu without
// installing anything and without being root: apt works in a folder of ours
// (a private root with its own lists and an empty status file), with the
// machine's own sources, keyrings, proxies and credentials, so that every byte
// is verified by apt as always; dpkg-deb reads the packages.
//
// No name of a mirror stands here. Where the machine's sources do not lead to
// Debian's archive (Ubuntu), Mirrors asks mmdebstrap, which knows it.
package debian
