package main

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

func TestDownloadsFile(t *testing.T) {
	for _, path := range []string{"file.txt", "path/to/a/file.txt", "file", "..file.ext", "f.le"} {
		t.Run(path, func(t *testing.T) {
			r := newRepo(t)
			c := newClient(r)
			r.add("targets", path, "content")
			r.publish("targets", "snapshot", "timestamp")
			c.must(c.refresh())
			c.has()
			c.must(c.download(path))
			c.has("content")
		})
	}
}

// TestDownloadsName: with consistent snapshots the name begins with a hash (5.7.3).
func TestDownloadsName(t *testing.T) {
	one, two := sha256.Sum256([]byte("content")), sha512.Sum512([]byte("content"))
	short, long := hex.EncodeToString(one[:]), hex.EncodeToString(two[:])
	for name, tt := range map[string]struct {
		hashes object
		asked  string
	}{
		"sha256":                       {object{"sha256": short}, short},
		"sha512":                       {object{"sha512": long}, long},
		"both":                         {object{"sha256": short, "sha512": long}, short},
		"one that nobody knows beside": {object{"md17": "00", "sha512": long}, long},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			c := newClient(r)
			r.addHashed("targets", "dir/file", "content", tt.hashes)
			r.publish("targets", "snapshot", "timestamp")
			c.must(c.download("dir/file"))
			c.asked("root 2", "timestamp", "snapshot 2", "targets 2", "artifact dir/"+tt.asked+".file")
			c.has("content")
		})
	}
}

// TestDownloadsUnknownHash: what cannot be compared is not taken, and does not
// spoil other targets.
func TestDownloadsUnknownHash(t *testing.T) {
	r := newRepo(t)
	c := newClient(r)
	r.addHashed("targets", "file", "content", object{"unknown": "00"})
	r.addHashed("targets", "none", "content", object{})
	r.add("targets", "other", "other")
	r.publish("targets", "snapshot", "timestamp")
	for _, name := range []string{"file", "none"} {
		c.refused(c.download(name), "no hash of a kind that is known")
	}
	c.must(c.download("other"))
	c.has("other")
}

// TestDownloadsSubstituted: the server has other content than was signed.
func TestDownloadsSubstituted(t *testing.T) {
	for name, content := range map[string]string{
		"same length": "CONTENT", "shorter": "conten", "longer": "contents", "much longer": strings.Repeat("content", 1<<16), "empty": "",
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			c := newClient(r)
			r.add("targets", "one", "content")
			r.add("targets", "two", "content")
			r.publish("targets", "snapshot", "timestamp")
			c.must(c.download("one"))
			r.artifacts["one"], r.artifacts["two"] = []byte(content), []byte(content)
			c.must(c.download("one")) // is there already
			if err := c.download("two"); err == nil {
				t.Error("taken")
			}
			c.has("content")
			if left, err := os.ReadDir(c.targets); err != nil || len(left) != 1 {
				t.Errorf("the folder holds %v, %v", left, err)
			}
		})
	}
}

// TestDownloadsChanged: a file that changes with new metadata is replaced, one
// that only the server changed is not.
func TestDownloadsChanged(t *testing.T) {
	r := newRepo(t)
	c := newClient(r)
	for _, content := range []string{"one", "two", "three"} {
		r.add("targets", "file", content)
		r.publish("targets", "snapshot", "timestamp")
		c.must(c.download("file"))
		c.has(content)
		r.artifacts["file"] = []byte("evil " + content)
		r.publish("targets", "snapshot", "timestamp")
		c.must(c.download("file"))
		c.has(content)
	}
}

// TestDownloadsOnce: a file that is there, and is what it should be, is not
// fetched again; one that was changed on disk is.
func TestDownloadsOnce(t *testing.T) {
	r := newRepo(t)
	c := newClient(r)
	r.add("targets", "file", "content")
	r.publish("targets", "snapshot", "timestamp")
	c.must(c.download("file"))
	r.asked()
	c.must(c.download("file", "file"))
	c.asked("root 2", "timestamp")
	c.must(os.WriteFile(c.targets+"/file", []byte("CONTENT"), 0o600))
	c.must(c.download("file"))
	c.has("content")
}

// TestDownloadsStopAtTheFirstFailure: all by one refresh.
func TestDownloadsStopAtTheFirstFailure(t *testing.T) {
	r := newRepo(t)
	c := newClient(r)
	for _, name := range []string{"one", "two", "three"} {
		r.add("targets", name, name)
	}
	r.publish("targets", "snapshot", "timestamp")
	c.must(c.download("one", "two"))
	c.has("one", "two")
	c.refused(c.download("one", "missing", "three"), "missing")
	c.has("one", "two")
}

func TestDownloadsNotThere(t *testing.T) {
	r := newRepo(t)
	c := newClient(r)
	r.add("targets", "file", "content")
	r.publish("targets", "snapshot", "timestamp")
	delete(r.artifacts, "file")
	c.refused(c.download("file"), "no file")
	c.has()
}

// TestDownloadsThroughALink: a link that lies where the file should does not lead
// out of the folder.
func TestDownloadsThroughALink(t *testing.T) {
	r := newRepo(t)
	c := newClient(r)
	r.add("targets", "file", "content")
	r.publish("targets", "snapshot", "timestamp")
	outside := t.TempDir() + "/outside"
	c.must(os.WriteFile(outside, []byte("mine"), 0o600))
	c.must(os.Symlink(outside, c.targets+"/file"))
	c.must(c.download("file"))
	c.has("content")
	if b, err := os.ReadFile(outside); err != nil || string(b) != "mine" {
		t.Errorf("outside now holds %q, %v", b, err)
	}
}

// TestDownloadsOddNames: a path that no file's name can hold is no obstacle.
func TestDownloadsOddNames(t *testing.T) {
	for _, path := range []string{strings.Repeat("long/", 100) + "path", strings.Repeat("ü", 200), "dir/..", "dir/."} {
		r := newRepo(t)
		c := newClient(r)
		r.add("targets", path, "one")
		r.publish("targets", "snapshot", "timestamp")
		c.must(c.download(path))
		c.has("one")
		r.add("targets", path, "two")
		r.publish("targets", "snapshot", "timestamp")
		c.must(c.download(path))
		c.has("two")
	}
}
