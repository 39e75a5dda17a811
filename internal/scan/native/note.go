package native

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/exe"
)

// Notes is a [scan.Extractor] of the notes in ELF files that name the package they
// were built for (https://systemd.io/ELF_PACKAGE_METADATA), and of their build IDs.
type Notes struct{}

var _ scan.Extractor = Notes{}

// Name implements [scan.Extractor].
func (Notes) Name() string { return "elf-note" }

// Version implements [scan.Extractor].
func (Notes) Version() int { return 2 }

// Wants implements [scan.Extractor]: any ELF file.
func (Notes) Wants(_ image.Entry, head []byte) bool { return exe.Sniff(head) == exe.ELF }

// Extract implements [scan.Extractor].
func (Notes) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	content, err := f.Spill()
	if err != nil {
		return inventory.Found{}, err
	}
	info := exe.Read(content, content.Size())
	found := inventory.Found{BuildID: hex.EncodeToString(info.BuildID[:min(len(info.BuildID), maxBuildID)])}
	text := bytes.TrimRight(info.Package(), "\x00")
	if len(text) == 0 {
		return found, nil
	}
	var n note
	if err := json.Unmarshal(text, &n); err != nil {
		return found, fault.Errorf(fault.Invalid, "read the note .note.package: %w", err)
	}
	if n.Name != "" {
		found.Components = []inventory.Component{n.component()}
	}
	return found, nil
}

// maxBuildID is more than any linker writes, bytes.
const maxBuildID = 32

// note is the content of .note.package.
type note struct {
	Type         string `json:"type"`
	Name         string `json:"name"` // of the source package
	Version      string `json:"version"`
	Architecture string `json:"architecture"`
	OS           string `json:"os"` // ID of os-release
	CPE          string `json:"appCpe"`
}

func (n *note) component() inventory.Component {
	c := inventory.Component{
		Kind: inventory.Native, Type: inventory.Generic, Name: n.Name, Version: n.Version, Arch: n.Architecture,
		SourceName: n.Name, SourceVersion: n.Version, Relation: inventory.Contains,
	}
	if strings.HasPrefix(n.CPE, "cpe:2.3:") {
		c.CPE = n.CPE
	}
	if n.Architecture != "" { // some builders write it behind the release, too
		c.Version = strings.TrimSuffix(c.Version, "."+n.Architecture)
		c.SourceVersion = c.Version
	}
	switch t := inventory.Type(n.Type); t { //nolint:exhaustive // languages have inventories of their own
	case inventory.Deb, inventory.RPM, inventory.Apk, inventory.ALPM:
		c.Type, c.Namespace = t, n.OS
	}
	return c
}
