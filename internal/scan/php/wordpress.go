package php

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path"
	"regexp"
	"strings"

	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
)

// WordPress is a [scan.Extractor] of WordPress and its plugins.
type WordPress struct{}

var _ scan.Extractor = WordPress{}

// maxHead is how much of a file WordPress itself looks for a plugin's header in
// (get_file_data), bytes.
const maxHead = 8 << 10

// Name implements [scan.Extractor].
func (WordPress) Name() string { return "wordpress" }

// Version implements [scan.Extractor].
func (WordPress) Version() int { return 1 }

// Wants implements [scan.Extractor]: wp-includes/version.php, and of a plugin the
// file that is called as its folder or begins with a header.
func (WordPress) Wants(e image.Entry, head []byte) bool {
	if !strings.HasSuffix(e.Path, ".php") {
		return false
	}
	if isCore(e.Path) {
		return true
	}
	dir := path.Dir(e.Path)
	if path.Base(path.Dir(dir)) != "plugins" || !strings.HasSuffix(path.Dir(dir), "wp-content/plugins") {
		return false
	}
	return path.Base(dir)+".php" == path.Base(e.Path) || bytes.Contains(head, []byte("Plugin Name:"))
}

func isCore(p string) bool {
	return p == "wp-includes/version.php" || strings.HasSuffix(p, "/wp-includes/version.php")
}

var (
	coreVersion  = regexp.MustCompile(`(?m)^\$wp_version\s*=\s*['"]([^'"]{1,64})['"]`)
	headerField  = regexp.MustCompile(`(?m)^[ \t/*#@]*(Plugin Name|Version|License):[ \t]*(.*)$`)
	plainVersion = regexp.MustCompile(`^[0-9A-Za-z.+_-]+$`)
)

// Extract implements [scan.Extractor].
func (WordPress) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	head := make([]byte, maxHead)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return inventory.Found{}, err
	}
	head = bytes.ReplaceAll(head[:n], []byte("\r"), []byte("\n"))
	if isCore(f.Path) {
		return core(head), nil
	}
	return plugin(path.Base(path.Dir(f.Path)), head), nil
}

func core(head []byte) inventory.Found {
	m := coreVersion.FindSubmatch(head)
	if m == nil || !plainVersion.Match(m[1]) {
		return inventory.Found{}
	}
	c := inventory.Component{Kind: inventory.Application, Type: inventory.Generic, Name: "wordpress", Version: string(m[1])}
	c.CPE = "cpe:2.3:a:wordpress:wordpress:" + strings.ReplaceAll(c.Version, "+", `\+`) + ":*:*:*:*:*:*:*"
	return inventory.Found{Components: []inventory.Component{c}}
}

// plugin returns the plugin in a folder, by which WordPress knows it, if the file
// has a header.
func plugin(folder string, head []byte) inventory.Found {
	said := map[string]string{}
	for _, m := range headerField.FindAllSubmatch(head, 16) {
		if key := string(m[1]); said[key] == "" {
			said[key] = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(string(m[2])), "*/"))
		}
	}
	if said["Plugin Name"] == "" || !plainVersion.MatchString(said["Version"]) {
		return inventory.Found{}
	}
	c := inventory.Component{Kind: inventory.Library, Type: inventory.Generic, Namespace: "wordpress-plugin", Name: folder, Version: said["Version"]}
	if l := said["License"]; l != "" {
		c.Licences = []string{l}
	}
	return inventory.Found{Components: []inventory.Component{c}}
}
