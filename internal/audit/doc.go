// Package audit is the log of decisions that nobody can change unseen.
//
// Every event is one line of JSON and one leaf of an append-only Merkle tree
// (RFC 6962 section 2.1). The tree's size and root stand in a checkpoint, signed
// with the log's own Ed25519 key (c2sp.org/tlog-checkpoint). Tree and events lie
// on disk in the layout of c2sp.org/tlog-tiles, so that a program that is not
// ours can check them:
//
//	audit/key               the log's private key, readable by its owner only
//	audit/key.pub           the key that verifies checkpoints (a verifier key of c2sp.org/signed-note)
//	audit/checkpoint        size and root of the tree, signed
//	audit/tile/<L>/<K>      hashes, 256 to a tile
//	audit/tile/entries/<K>  events, 256 to a bundle
//	audit/journal           events that are promised and not yet under the checkpoint
//	audit/lock              held by whoever writes
//
// [Log.Record] appends to the journal and returns when that is on disk: from
// then on the event is promised and must never vanish. [Log.Publish] moves the
// journal under a new checkpoint; it runs by itself every few hundred events and
// on [Log.Close]. A process that dies at any point loses nothing that was
// promised: the next one reads the journal again. Only what a crash cut short at
// the journal's end, which nobody was promised, is removed, and the removal is
// itself an event.
//
// What the log cannot do alone is to show that its owner, who holds the key, did
// not sign another history. For that a checkpoint is copied to where the owner
// cannot reach (cp audit/checkpoint …), and [Verify] is given it: a log that was
// cut short, rewritten or reordered since does not contain the tree that the
// copy names, however it is signed.
package audit

// maxEvent is the longest event in bytes: c2sp.org/tlog-tiles gives an entry's
// length 16 bits.
const maxEvent = 1<<16 - 1

// maxPending is how many events may stand in the journal before they are
// published.
const maxPending = 256

// Names of files in the log's folder.
const (
	keyFile        = "key"
	publicFile     = "key.pub"
	checkpointFile = "checkpoint"
	journalFile    = "journal"
	lockFile       = "lock"
	tileFolder     = "tile"
)
