// Package quota bounds what a folder may hold by the file system's own project
// quotas: a container's writable layer, a team's volumes.
//
// A project is a number that every file in a folder bears, and that what is made
// in the folder inherits. The file system counts the blocks and inodes of a
// project, and refuses more than its hard limit (ENOSPC on ext4, ENOSPC or
// EDQUOT on xfs). Numbers are given by the guard, one for each container and for
// each team; two folders with one number share one limit.
//
// Nobody in a user namespace can change a file's project, drop the inheritance,
// or move a file out of the folder's project into another: the kernel lets only
// the initial user namespace do the first two, and answers EXDEV to the third.
// An overlay writes for whoever mounted it, but never beyond a limit. What the
// host's own root writes, as an engine does that copies into a container, is
// counted; ext4 does not hold it to the limit.
//
// ext4 (mounted with prjquota) and xfs (pquota) have project quotas; kernels
// from 5.14 are asked by the folder itself, without its device's name.
package quota
