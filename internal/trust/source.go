package trust

import (
	"context"

	"plimsoll/internal/ref"
)

// Source is where trust collections are read from. What it returns is not
// believed.
type Source interface {
	// Load returns the collection of gun as it is now. NotFound if there is
	// none, Unavailable if it could not be looked at.
	Load(ctx context.Context, gun ref.GUN) (Collection, error)
}

// Collection is the metadata files of one GUN, at one moment as far as the
// source can hold it still.
type Collection interface {
	// Read returns the file of that name ("2.root.json", "timestamp.json").
	// NotFound if there is none, Untrusted if it is longer than limit bytes or
	// not what the source itself promised. It reads no more than limit bytes.
	Read(ctx context.Context, name string, limit int64) ([]byte, error)
}

// Store is a source that can be written to.
type Store interface {
	Source
	// Begin starts a change to the collection of gun. Where a store has no
	// compare-and-set it claims the collection first, so that nothing is signed
	// in vain; Conflict if somebody else holds the claim. The caller closes the
	// change.
	Begin(ctx context.Context, gun ref.GUN) (Change, error)
}

// Change is one attempt to replace a collection.
type Change interface {
	// Base returns the collection that is being changed, or nil if there is
	// none yet.
	Base() Collection
	// Commit publishes u as a whole. Conflict if the collection is no longer
	// what Base returned, or if it turned out after writing that somebody else
	// wrote over it: the change is then not there, and must be made again.
	Commit(ctx context.Context, u Update) error
	// Close gives up what was not committed.
	Close(ctx context.Context) error
}

// Update is what changes in a collection: new files, and the names of those that
// no current metadata refers to any more. A store may keep the latter for
// clients that are in the middle of a refresh.
type Update struct {
	From    Collection // what the update was made from, if that is not the change's base
	Version int64      // of the timestamp
	Put     map[string][]byte
	Drop    []string
}
