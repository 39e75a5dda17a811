// Package app opens what the commands need: the settings, the folder where
// state is kept, and the services over it.
package app

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/goccy/go-yaml"

	"plimsoll/internal/fault"
)

// maxConfig bounds the configuration file, in bytes.
const maxConfig = 64 << 10

// hostIDs is where a host remembers which user IDs are whose. There is one such
// table for a host, not one for a data folder: two tables would give the same
// IDs out twice.
const hostIDs = "/var/lib/plimsoll/ids.json"

// Settings are what a person may set by flag, by environment variable or in the
// configuration file, in that order of precedence. [Settings.Fill] gives the
// rest.
type Settings struct {
	Config    string `yaml:"-"`         // the configuration file
	Data      string `yaml:"data"`      // folder of state
	Policy    string `yaml:"policy"`    // file of the policy document
	PlainHTTP bool   `yaml:"plainHTTP"` // registries on loopback are spoken to without TLS
	IDs       string `yaml:"ids"`       // the host's one table of user IDs, whatever Data is

	// AttestationRoots names makers of tokens that are believed beside those
	// that are built in: NAME=FILE of their roots in PEM, separated by commas.
	AttestationRoots string `yaml:"attestationRoots"`
	// KnownBad names lists of files that are known to be bad by their hash, and
	// Products folders of descriptions of native code, both separated by commas.
	KnownBad string `yaml:"knownBad"`
	Products string `yaml:"products"`

	policyNamed bool // Policy is not the default: it must be there
}

// Fill sets what no flag set: from the environment (PLIMSOLL_CONFIG,
// PLIMSOLL_DATA, PLIMSOLL_POLICY, PLIMSOLL_PLAIN_HTTP, PLIMSOLL_IDS,
// PLIMSOLL_ATTESTATION_ROOTS, PLIMSOLL_KNOWN_BAD, PLIMSOLL_PRODUCTS), then from
// the configuration file, then to the defaults. A configuration file that was named
// must exist; the one in the default place need not.
func (s *Settings) Fill() error {
	set(&s.Config, os.Getenv("PLIMSOLL_CONFIG"))
	file, err := readConfig(s.Config)
	if err != nil {
		return err
	}
	set(&s.Data, os.Getenv("PLIMSOLL_DATA"), file.Data, defaultData())
	set(&s.Policy, os.Getenv("PLIMSOLL_POLICY"), file.Policy)
	s.policyNamed = s.Policy != ""
	set(&s.Policy, filepath.Join(s.Data, "policy.yaml"))
	set(&s.AttestationRoots, os.Getenv("PLIMSOLL_ATTESTATION_ROOTS"), file.AttestationRoots)
	set(&s.KnownBad, os.Getenv("PLIMSOLL_KNOWN_BAD"), file.KnownBad)
	set(&s.Products, os.Getenv("PLIMSOLL_PRODUCTS"), file.Products)
	set(&s.IDs, os.Getenv("PLIMSOLL_IDS"), file.IDs, hostIDs)
	if v := os.Getenv("PLIMSOLL_PLAIN_HTTP"); v == "1" || v == "true" || (v == "" && file.PlainHTTP) {
		s.PlainHTTP = true
	}
	if s.Data, err = filepath.Abs(s.Data); err != nil {
		return fmt.Errorf("data folder %q: %w", s.Data, err)
	}
	return nil
}

// set gives *to, if it is empty, the first of the values that is not.
func set(to *string, values ...string) {
	for _, v := range values {
		if *to == "" {
			*to = v
		}
	}
}

func readConfig(path string) (Settings, error) {
	named := path != ""
	if !named {
		path = defaultConfig()
	}
	f, err := os.Open(path) // #nosec G304 -- the person's own file
	if errors.Is(err, fs.ErrNotExist) && !named {
		return Settings{}, nil
	} else if err != nil {
		return Settings{}, fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return Settings{}, fmt.Errorf("read configuration %q: %w", path, err)
	}
	if len(b) > maxConfig {
		return Settings{}, fault.Errorf(fault.Invalid, "configuration %q is larger than %d bytes", path, maxConfig)
	}
	s, err := parseConfig(b)
	if err != nil {
		return Settings{}, fault.Errorf(fault.Invalid, "configuration %q: %w", path, err)
	}
	return s, nil
}

func parseConfig(b []byte) (s Settings, err error) {
	defer func() { // the parser panics on some malformed documents
		if r := recover(); r != nil {
			err = fmt.Errorf("not YAML that can be parsed: %v", r)
		}
	}()
	err = yaml.NewDecoder(bytes.NewReader(b), yaml.Strict()).Decode(&s)
	if errors.Is(err, io.EOF) { // an empty file
		err = nil
	}
	return s, err
}

func defaultConfig() string {
	if os.Geteuid() == 0 {
		return "/etc/plimsoll/config.yaml"
	}
	return filepath.Join(userFolder("XDG_CONFIG_HOME", ".config"), "config.yaml")
}

func defaultData() string {
	if os.Geteuid() == 0 {
		return "/var/lib/plimsoll"
	}
	return userFolder("XDG_DATA_HOME", filepath.Join(".local", "share"))
}

// userFolder returns the folder of ours below the one that the XDG base
// directory specification names by variable, or below the home folder's rest.
func userFolder(variable, rest string) string {
	if d := os.Getenv(variable); filepath.IsAbs(d) {
		return filepath.Join(d, "plimsoll")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "plimsoll"
	}
	return filepath.Join(home, rest, "plimsoll")
}
