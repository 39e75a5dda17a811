package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/url"
	"slices"

	"plimsoll/internal/inventory"
)

// byName judges files whose whole form is known by their name.
func (s *search) byName(name string) {
	switch name {
	case "config.json", ".dockerconfigjson", "auth.json", ".dockercfg":
		if bytes.Contains(s.text, []byte(`"auth`)) {
			s.docker()
		}
	case ".netrc", "_netrc", "netrc":
		s.netrc()
	case ".git-credentials":
		s.gitCredentials()
	}
}

// docker judges the logins in a configuration of Docker's or Podman's; in the
// oldest form they are not below "auths".
func (s *search) docker() {
	type login struct {
		Auth          string `json:"auth"`
		IdentityToken string `json:"identitytoken"`
		RegistryToken string `json:"registrytoken"`
	}
	var config struct {
		Auths map[string]login `json:"auths"`
	}
	if err := json.Unmarshal(s.text, &config); err != nil {
		return
	}
	logins := config.Auths
	if logins == nil && json.Unmarshal(s.text, &logins) != nil {
		return
	}
	for _, host := range slices.Sorted(maps.Keys(logins)) {
		l := logins[host]
		for _, token := range []string{l.IdentityToken, l.RegistryToken} {
			if token != "" {
				s.add(inventory.RegistryPassword, s.where(token), []byte(token), false)
			}
		}
		pair, err := base64.StdEncoding.DecodeString(l.Auth)
		if _, password, ok := bytes.Cut(pair, []byte(":")); err == nil && ok {
			s.password(inventory.RegistryPassword, s.where(l.Auth), bytes.TrimRight(password, "\x00"))
		}
		if len(s.found) >= maxSecrets {
			return
		}
	}
}

// where returns where text stands in the file, 0 if it is written otherwise.
func (s *search) where(text string) int { return max(bytes.Index(s.text, []byte(text)), 0) }

// netrc judges the passwords of a netrc(5): words, of which one says that the
// next is a password.
func (s *search) netrc() {
	at := 0
	for line := range bytes.Lines(s.text) {
		words := bytes.Fields(line)
		for i := 0; i+1 < len(words) && len(s.found) < maxSecrets; i++ {
			if words[i][0] == '#' {
				break
			}
			if string(words[i]) == "password" {
				s.password(inventory.NetrcPassword, at, words[i+1])
				i++
			}
		}
		at += len(line)
	}
}

// gitCredentials judges the addresses of git-credential-store(1).
func (s *search) gitCredentials() {
	at := 0
	for line := range bytes.Lines(s.text) {
		u, err := url.Parse(string(bytes.TrimSpace(line)))
		if err == nil && u.User != nil && len(s.found) < maxSecrets {
			if password, ok := u.User.Password(); ok {
				s.password(inventory.GitPassword, at, []byte(password))
			}
		}
		at += len(line)
	}
}
