package secret

import (
	"bytes"
	"encoding/base64"

	"plimsoll/internal/inventory"
)

const (
	awsIDSize     = 20
	awsSecretSize = 40
	awsBefore     = 256 // bytes around an identifier in which its secret is looked for
	awsAfter      = 512
	awsLine       = 120 // bytes after the name of a setting
)

// awsID judges an identifier of an access key of AWS, and looks for the secret
// that belongs to it near by.
func (s *search) awsID(at int) {
	if !s.starts(at, &tokenSet) && s.text[at-1] != '=' {
		return
	}
	id := s.run(at, &base32Set)
	if len(id) != awsIDSize || at+awsIDSize < len(s.text) && base62Set[s.text[at+awsIDSize]] || !random(id) {
		return
	}
	if !placeholder(id) && !s.awsNear(max(at-awsBefore, 0), min(at+awsAfter, len(s.text))) {
		s.add(inventory.AWSAccessKey, at, id, true)
	}
}

// awsSecret judges what follows the name of the setting.
func (s *search) awsSecret(at int) {
	line, _, _ := bytes.Cut(s.text[at:min(at+awsLine, len(s.text))], []byte("\n"))
	s.awsNear(at, at+len(line))
}

// awsNear notes the first text of the form of a secret between the two places.
func (s *search) awsNear(from, to int) bool {
	for at := from; at < to; at++ {
		run := s.run(at, &base64Set)
		if len(run) == awsSecretSize && secretKey(run) {
			s.add(inventory.AWSSecretKey, at, run, false)
			return true
		}
		at += len(run)
	}
	return false
}

// secretKey tells a key from a path or the digits of a hash: it has capital and
// small letters and digits, and is more than random hexadecimal digits are.
func secretKey(run []byte) bool {
	var upper, lower, digit bool
	for _, c := range run {
		upper = upper || c >= 'A' && c <= 'Z'
		lower = lower || c >= 'a' && c <= 'z'
		digit = digit || c >= '0' && c <= '9'
	}
	return upper && lower && digit && entropy(run) > 4.2
}

// azureStorage judges the key in a connection string: 32 or 64 random bytes.
func (s *search) azureStorage(at int) {
	at += bytes.IndexByte(s.text[at:], '=') + 1
	end := at + len(s.run(at, &base64Set))
	for range 2 { // bytes of padding
		if end < len(s.text) && s.text[end] == '=' {
			end++
		}
	}
	value := s.text[at:end]
	key, err := base64.StdEncoding.DecodeString(string(value))
	if err == nil && (len(key) == 32 || len(key) == 64) && random(value) {
		s.add(inventory.AzureStorageKey, at, value, false)
	}
}

// azureClients judges secrets of applications: three characters, a digit, "Q~",
// and 31 to 34 more. The anchor is too short for the table.
func (s *search) azureClients() {
	const before, least, most = 4, 31, 34
	mark := []byte("Q~")
	for from := 0; ; {
		i := bytes.Index(s.text[from:], mark)
		if i < 0 {
			return
		}
		at := from + i - before
		from += i + len(mark)
		if at < 0 || len(s.found) >= maxSecrets || !s.starts(at, &azureSet) || s.text[at+3] < '0' || s.text[at+3] > '9' {
			continue
		}
		if secret := s.run(at, &azureSet); len(secret) >= before+len(mark)+least && len(secret) <= before+len(mark)+most && random(secret) {
			s.add(inventory.AzureClientSecret, at, secret, false)
		}
	}
}

var azureSet = setOf(alnumChars + "_~.-")
