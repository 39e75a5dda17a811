package audit

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"plimsoll/internal/fault"
)

// OpenCheckpoint returns the tree that a checkpoint names
// (c2sp.org/tlog-checkpoint), Untrusted unless v signed it.
func OpenCheckpoint(b []byte, v note.Verifier) (tlog.Tree, error) {
	if len(b) > maxKey {
		return tlog.Tree{}, fault.Errorf(fault.Untrusted, "checkpoint is longer than %d bytes", maxKey)
	}
	n, err := note.Open(b, note.VerifierList(v))
	if err != nil {
		return tlog.Tree{}, fault.Errorf(fault.Untrusted, "checkpoint is not signed by %q: %w", v.Name(), err)
	}
	for _, sig := range append(n.Sigs, n.UnverifiedSigs...) {
		if _, err := base64.StdEncoding.Strict().DecodeString(sig.Base64); err != nil {
			return tlog.Tree{}, fault.Errorf(fault.Untrusted, "checkpoint: the signature of %q is not canonical base64: %w", sig.Name, err)
		}
	}
	return parseTree(n.Text, v.Name())
}

func parseTree(text, origin string) (tlog.Tree, error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 || lines[0] != origin {
		return tlog.Tree{}, fault.Errorf(fault.Untrusted, "checkpoint is not one of the log %q", origin)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return tlog.Tree{}, fault.Errorf(fault.Untrusted, "checkpoint: %q is no size of a tree", lines[1])
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return tlog.Tree{}, fault.Errorf(fault.Untrusted, "checkpoint: %q is no root of a tree", lines[2])
	}
	return tlog.Tree{N: size, Hash: tlog.Hash(root)}, nil
}

func signCheckpoint(t tlog.Tree, s note.Signer) ([]byte, error) {
	text := fmt.Sprintf("%s\n%d\n%s\n", s.Name(), t.N, t.Hash)
	b, err := note.Sign(&note.Note{Text: text}, s)
	if err != nil {
		return nil, fault.Errorf(fault.Internal, "sign checkpoint: %w", err)
	}
	return b, nil
}
