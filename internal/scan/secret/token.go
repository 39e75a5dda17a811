package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"hash/crc32"

	"plimsoll/internal/inventory"
)

const (
	randomSize   = 30  // characters of a token of GitHub or npm that are random
	checksumSize = 6   // characters that sum them up
	maxToken     = 500 // characters of a token without a form of its own
)

// checked notes a token of prefix, thirty characters, and their CRC-32 in base
// 62. What has the form and not the sum was made up.
func (s *search) checked(kind inventory.SecretKind, at int) {
	const prefix = len("ghp_")
	if !s.starts(at, &urlSet) {
		return
	}
	rest := s.run(at+prefix, &base62Set)
	if len(rest) == randomSize+checksumSize && string(rest[randomSize:]) == checksum(rest[:randomSize]) {
		s.add(kind, at, s.text[at:at+prefix+len(rest)], false)
	}
}

// checksum returns the CRC-32 of b in six digits of base 62.
func checksum(b []byte) string {
	var out [checksumSize]byte
	sum := crc32.ChecksumIEEE(b)
	for i := checksumSize - 1; i >= 0; i-- {
		out[i] = alnumChars[sum%62]
		sum /= 62
	}
	return string(out[:])
}

func (s *search) github(at int) { s.checked(inventory.GitHubToken, at) }

func (s *search) npm(at int) { s.checked(inventory.NPMToken, at) }

// githubFine judges a fine-grained token: 22 characters, a line, 59 characters.
func (s *search) githubFine(at int) {
	const prefix, first, second = len("github_pat_"), 22, 59
	if !s.starts(at, &urlSet) {
		return
	}
	rest := s.run(at+prefix, &urlSet)
	if len(rest) == first+1+second && rest[first] == '_' && random(rest) {
		s.add(inventory.GitHubToken, at, s.text[at:at+prefix+len(rest)], false)
	}
}

func (s *search) gitlab(at int) {
	s.token(inventory.GitLabToken, at, len("glpat-"), 20, 300, &urlSet, false)
}

func (s *search) dockerHub(at int) {
	s.token(inventory.DockerHubToken, at, len("dckr_pat_"), 24, 40, &urlSet, false)
}

func (s *search) vault(at int) {
	s.token(inventory.VaultToken, at, len("hvs."), 24, 300, &urlSet, false)
}

func (s *search) stripe(at int) {
	s.token(inventory.StripeKey, at, len("sk_live_"), 24, 250, &base62Set, false)
}

// google judges an API key: pages show many of them, and mean to.
func (s *search) google(at int) {
	s.token(inventory.GoogleAPIKey, at, len("AIza"), 35, 35, &urlSet, true)
}

// slack judges a token: groups with hyphens between, the first of digits.
func (s *search) slack(at int) {
	const prefix = len("xoxb-")
	if !s.starts(at, &urlSet) {
		return
	}
	rest := s.run(at+prefix, &urlSet)
	group, more, ok := bytes.Cut(rest, []byte("-"))
	if ok && len(group) >= 8 && len(bytes.Trim(group, digitChars)) == 0 && len(more) >= 20 {
		s.token(inventory.SlackToken, at, prefix, 30, 300, &urlSet, false)
	}
}

// slackHook judges the address of a webhook: team, hook and 24 characters.
func (s *search) slackHook(at int) {
	at += len("hooks.slack.com/services/")
	parts := bytes.Split(s.run(at, &base64Set), []byte("/"))
	if len(parts) == 3 && len(parts[0]) >= 9 && parts[0][0] == 'T' && len(parts[1]) >= 9 && parts[1][0] == 'B' && len(parts[2]) == 24 && random(parts[2]) {
		s.add(inventory.SlackWebhook, at, bytes.Join(parts, []byte("/")), false)
	}
}

// npmAuth judges what an .npmrc gives as _authToken. A variable is none.
func (s *search) npmAuth(at int) {
	at = s.after(at+len("_authToken"), "\"' \t=:")
	if value := leading(s.text[at:min(at+maxToken, len(s.text))], &tokenSet); len(value) >= 16 && len(value) < maxToken && random(value) && !bytes.HasPrefix(value, []byte("npm_")) {
		s.add(inventory.NPMToken, at, value, false)
	}
}

// pypi judges an API token: a macaroon that names the index.
func (s *search) pypi(at int) {
	const prefix = len("pypi-")
	if !s.starts(at, &urlSet) {
		return
	}
	rest := s.run(at+prefix, &urlSet)
	macaroon, err := base64.RawURLEncoding.DecodeString(string(rest))
	if err == nil && len(macaroon) >= 60 && bytes.Contains(macaroon[:min(len(macaroon), 20)], []byte("pypi.org")) {
		s.add(inventory.PyPIToken, at, s.text[at:at+prefix+len(rest)], false)
	}
}

// jwt judges a signed JSON Web Token (RFC 7519). Most of them expire, and some
// are no secret: it is a minor finding.
func (s *search) jwt(at int) {
	const least = 20 // characters of a signature
	if !s.starts(at, &tokenSet) && s.text[at-1] != '=' {
		return
	}
	head := s.run(at, &urlSet)
	bodyAt := at + len(head) + 1
	if bodyAt >= len(s.text) || s.text[bodyAt-1] != '.' {
		return
	}
	body := s.run(bodyAt, &urlSet)
	signAt := bodyAt + len(body) + 1
	if signAt >= len(s.text) || s.text[signAt-1] != '.' {
		return
	}
	sign := s.run(signAt, &urlSet)
	var header struct {
		Alg string `json:"alg"`
	}
	if len(sign) >= least && object(head, &header) && header.Alg != "" && object(body, &struct{}{}) {
		s.add(inventory.JSONWebToken, at, s.text[at:signAt+len(sign)], true)
	}
}

// object decodes a JSON object in base64, and reports whether it is one.
func object(encoded []byte, to any) bool {
	b, err := base64.RawURLEncoding.DecodeString(string(encoded))
	return err == nil && len(b) > 0 && b[0] == '{' && json.Unmarshal(b, to) == nil
}
