// Package app opens what the commands need: the settings, the folder where
// state is kept, and the services over it.
package app

import (
	"os"
	"path/filepath"
)

// Settings are what a person may set by flag, by environment variable or in the
// configuration file, in that order of precedence. [Settings.Fill] gives the
// rest.
type Settings struct {
	Data      string // folder of state
	Policy    string // file of the policy document
	PlainHTTP bool   // registries on loopback are spoken to without TLS
}

// Fill sets what was left empty from PLIMSOLL_DATA, PLIMSOLL_POLICY and
// PLIMSOLL_PLAIN_HTTP, and
// otherwise to the defaults: /var/lib/plimsoll as root, a folder of the user's
// own if not, and policy.yaml in it.
func (s *Settings) Fill() {
	if s.Data == "" {
		s.Data = os.Getenv("PLIMSOLL_DATA")
	}
	if s.Data == "" {
		s.Data = defaultData()
	}
	if s.Policy == "" {
		s.Policy = os.Getenv("PLIMSOLL_POLICY")
	}
	if s.Policy == "" {
		s.Policy = filepath.Join(s.Data, "policy.yaml")
	}
	if v := os.Getenv("PLIMSOLL_PLAIN_HTTP"); v == "1" || v == "true" {
		s.PlainHTTP = true
	}
}

func defaultData() string {
	if os.Geteuid() == 0 {
		return "/var/lib/plimsoll"
	}
	if d := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "plimsoll")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "plimsoll-data"
	}
	return filepath.Join(home, ".local", "share", "plimsoll")
}
