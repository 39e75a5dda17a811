// Package envelope keeps signatures in other formats than TUF beside the images
// in a registry: it writes them for readers that know only those, and finds and
// checks them where a policy takes them.
//
// They lie there as referrers of the image (OCI 1.1), and cosign's older ones
// under a tag. A [Writer] signs what the registry holds; a [Reader] looks at
// every signature that is listed until one is good. Whoever can push can add
// signatures, so one that is wrong does not make a good one wrong; how many are
// looked at is bounded. What is listed and cannot be read, or a list that cannot
// be read to its end, is an error of its own (Unavailable): it is never taken
// for "not signed".
package envelope
