package secret

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan/scantest"
)

// letters returns n characters of the set, equal for equal n and seed. No token
// of these tests was ever one.
func letters(set string, n int, seed uint64) string {
	random := rand.New(rand.NewPCG(seed, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = set[random.IntN(len(set))]
	}
	return string(b)
}

func mixed(n int, seed uint64) string { return letters(alnumChars, n, seed) }

func withSum(prefix string, seed uint64) string {
	s := mixed(randomSize, seed)
	return prefix + s + checksum([]byte(s))
}

// search looks through one file and returns what was found, in a line each.
func searched(t testing.TB, path, content string) (out []string) {
	t.Helper()
	found, err := Extractor{}.Extract(t.Context(), scantest.File(path, []byte(content)))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range found.Secrets {
		line := fmt.Sprintf("%d %s", s.Line, s.Kind)
		if s.Minor {
			line += " minor"
		}
		out = append(out, line)
	}
	return out
}

func TestTokens(t *testing.T) {
	head := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`))
	body := base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"1"}`))
	macaroon := base64.RawURLEncoding.EncodeToString([]byte("\x02\x01\x08pypi.org" + strings.Repeat("k7Q", 30)))
	awsKey := mixed(39, 4) + "/"
	for name, test := range map[string]struct {
		content string
		want    []string
	}{
		"GitHub":                  {"x\ntoken=" + withSum("ghp_", 1) + "\n", []string{"2 github-token"}},
		"GitHub, another":         {withSum("gho_", 1) + " " + withSum("ghs_", 2), []string{"1 github-token", "1 github-token"}},
		"GitHub, twice":           {withSum("ghp_", 1) + "\n" + withSum("ghp_", 1), []string{"1 github-token"}},
		"GitHub, wrong sum":       {"ghp_" + mixed(36, 3), nil},
		"GitHub, in a word":       {"a" + withSum("ghp_", 1), nil},
		"GitHub, fine":            {"github_pat_" + mixed(22, 1) + "_" + mixed(59, 2), []string{"1 github-token"}},
		"GitLab":                  {"glpat-" + mixed(20, 1), []string{"1 gitlab-token"}},
		"GitLab, a placeholder":   {"glpat-" + strings.Repeat("x", 20), nil},
		"Slack":                   {"xoxb-" + letters(digitChars, 11, 1) + "-" + letters(digitChars, 12, 2) + "-" + mixed(24, 1), []string{"1 slack-token"}},
		"Slack, no token":         {"xoxb-is-the-prefix-of-tokens-that-robots-have", nil},
		"Slack, hook":             {"https://hooks.slack.com/services/T" + letters(upperChars, 8, 1) + "/B" + letters(upperChars, 8, 2) + "/" + mixed(24, 1), []string{"1 slack-webhook"}},
		"npm":                     {"//registry.npmjs.example/:_authToken=" + withSum("npm_", 1), []string{"1 npm-token"}},
		"npm, of another kind":    {"//npm.example.org/:_authToken=" + mixed(36, 9), []string{"1 npm-token"}},
		"npm, a variable":         {"//npm.example.org/:_authToken=${NPM_TOKEN_OF_THE_BUILD}", nil},
		"PyPI":                    {"password = pypi-" + macaroon, []string{"1 pypi-token"}},
		"Docker Hub":              {"dckr_pat_" + mixed(27, 1), []string{"1 dockerhub-token"}},
		"Vault":                   {"VAULT_TOKEN=hvs." + mixed(90, 1), []string{"1 vault-token"}},
		"Stripe":                  {"sk_live_" + mixed(24, 2), []string{"1 stripe-key"}},
		"Google":                  {"key: AIza" + mixed(35, 1), []string{"1 google-api-key minor"}},
		"AWS":                     {"[default]\naws_access_key_id=AKIA" + letters(upperChars, 16, 1) + "\naws_secret_access_key = " + awsKey + "\n", []string{"3 aws-secret-key"}},
		"AWS, the setting alone":  {"export AWS_SECRET_ACCESS_KEY=" + awsKey, []string{"1 aws-secret-key"}},
		"AWS, the identifier":     {"AKIA" + letters(upperChars, 16, 1), []string{"1 aws-access-key minor"}},
		"AWS, of the manual":      {"AKIA" + "IOSFODNN7EXAMPLE wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", nil},
		"AWS, beside a SHA-1":     {"AKIA" + letters(upperChars, 16, 1) + " da39a3ee5e6b4b0d3255bfef95601890afd80709", []string{"1 aws-access-key minor"}},
		"Azure":                   {"AccountName=a;AccountKey=" + base64.StdEncoding.EncodeToString([]byte(mixed(64, 1))) + ";Endpoint=x", []string{"1 azure-storage-key"}},
		"Azure, bus":              {"SharedAccessKey=" + base64.StdEncoding.EncodeToString([]byte(mixed(32, 1))), []string{"1 azure-storage-key"}},
		"Azure, client":           {"secret: Ab8" + "8Q~" + mixed(34, 1), []string{"1 azure-client-secret"}},
		"JSON Web Token":          {"Bearer " + head + "." + body + "." + mixed(43, 1), []string{"1 json-web-token minor"}},
		"JSON Web Token, no body": {head + ".x." + mixed(43, 1), nil},
		"prose":                   {"eyJhbGci ghp_ AKIA npm_ _authToken AccountKey= Q~ xoxb- hvs. glpat-", nil},
	} {
		t.Run(name, func(t *testing.T) {
			for shift := range stride { // wherever it begins
				if diff := cmp.Diff(test.want, searched(t, "app/settings", strings.Repeat(" ", shift)+test.content)); diff != "" {
					t.Errorf("secrets (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// TestPublishedChecksum: a token that an article on their form shows, made for
// it and never valid (gist.github.com/coolaj86, "base62 token format").
func TestPublishedChecksum(t *testing.T) {
	if got := checksum([]byte("zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ")); got != "0mLq17" {
		t.Errorf("checksum = %q", got)
	}
}

// chacha gives keys the same bytes in every run.
func chacha() *rand.ChaCha8 { return rand.NewChaCha8([32]byte{1}) }

func armoured(t testing.TB, label string, der []byte) string {
	t.Helper()
	return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
}

func pkcs8(t testing.TB, key crypto.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestKeys(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), chacha())
	if err != nil {
		t.Fatal(err)
	}
	rs, err := rsa.GenerateKey(chacha(), 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(chacha())
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	p8 := armoured(t, "PRIVATE KEY", pkcs8(t, ec))
	account, err := json.MarshalIndent(map[string]string{"type": "service_account", "private_key": p8}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	ssh := func(cipher string) []byte {
		return append([]byte("openssh-key-v1\x00\x00\x00\x00"+string(rune(len(cipher)))+cipher), make([]byte, 80)...)
	}
	for name, test := range map[string]struct {
		content string
		want    []string
	}{
		"PKCS #8":            {"# key\n" + p8, []string{"2 private-key"}},
		"Ed25519":            {armoured(t, "PRIVATE KEY", pkcs8(t, ed)), []string{"1 private-key"}},
		"PKCS #1":            {armoured(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rs)), []string{"1 private-key"}},
		"SEC 1":              {armoured(t, "EC PRIVATE KEY", sec1), []string{"1 private-key"}},
		"indented":           {"key: |\n  " + strings.ReplaceAll(p8, "\n", "\n  "), []string{"2 private-key"}},
		"a string of JSON":   {fmt.Sprintf("{\"key\": %q}", p8), []string{"1 private-key"}},
		"service account":    {string(account), []string{"2 gcp-service-account"}},
		"encrypted":          {armoured(t, "ENCRYPTED PRIVATE KEY", pkcs8(t, rs)), []string{"1 encrypted-private-key minor"}},
		"encrypted, old":     {strings.Replace(armoured(t, "RSA PRIVATE KEY", pkcs8(t, rs)), "\n", "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n", 1), []string{"1 encrypted-private-key minor"}},
		"OpenSSH":            {armoured(t, "OPENSSH PRIVATE KEY", ssh("none")), []string{"1 private-key"}},
		"OpenSSH, encrypted": {armoured(t, "OPENSSH PRIVATE KEY", ssh("aes256-ctr")), []string{"1 encrypted-private-key minor"}},
		"OpenPGP":            {armoured(t, "PGP PRIVATE KEY BLOCK", append([]byte{0x95, 3}, make([]byte, 200)...)), []string{"1 private-key"}},
		"kubeconfig":         {"    client-key-data: " + base64.StdEncoding.EncodeToString([]byte(p8)) + "\n", []string{"1 kubernetes-client-key"}},
		"certificate":        {armoured(t, "CERTIFICATE", pkcs8(t, ec)), nil},
		"a manual's":         {"-----BEGIN PRIVATE KEY-----\nMIIEvQ...\n-----END PRIVATE KEY-----\n", nil},
		"cut":                {p8[:100], nil},
		"short":              {"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", nil},
		"no DER":             {armoured(t, "PRIVATE KEY", []byte(mixed(100, 1))), nil},
		"a program's text":   {`if strings.Contains(s, "-----BEGIN RSA PRIVATE KEY-----") { return "-----END" }`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, searched(t, "app/key", test.content)); diff != "" {
				t.Errorf("secrets (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNamedFiles(t *testing.T) {
	auth := base64.StdEncoding.EncodeToString([]byte("jane:correct horse"))
	for _, test := range []struct {
		path, content string
		want          []string
	}{
		{"root/.docker/config.json", "{\"auths\": {\n\"registry.example.org\": {\"auth\": \"" + auth + "\"}}}", []string{"2 registry-password"}},
		{"root/.dockercfg", `{"registry.example.org": {"auth": "` + auth + `"}}`, []string{"1 registry-password"}},
		{"root/.docker/config.json", `{"auths": {"a": {"identitytoken": "` + mixed(40, 1) + `"}}}`, []string{"1 registry-password"}},
		{"root/.docker/config.json", `{"auths": {"a": {}}, "credsStore": "pass"}`, nil},
		{"app/config.json", `{"auth": true, "auths": 7}`, nil},
		{"app/other.json", `{"auths": {"a": {"auth": "` + auth + `"}}}`, nil},
		{"root/.netrc", "machine a login b password hunter2\n# password x\nmachine c\n password p4ss\n", []string{"1 netrc-password", "4 netrc-password"}},
		{"root/.git-credentials", "https://jane:hunter2@git.example.org\nhttps://git.example.org\n", []string{"1 git-password"}},
	} {
		if diff := cmp.Diff(test.want, searched(t, test.path, test.content)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.path, diff)
		}
	}
}

func TestNothingOfTheSecretIsShown(t *testing.T) {
	token, password := withSum("ghp_", 1), "hunter2horse"
	found, err := Extractor{}.Extract(t.Context(), scantest.File("root/.netrc", []byte("machine a login b password "+password+"\nmachine c login d password "+token+"\n")))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(token))
	want := []inventory.Secret{
		{Kind: inventory.NetrcPassword, Path: "root/.netrc", Line: 1, Redacted: "… (12)"},
		{Kind: inventory.NetrcPassword, Path: "root/.netrc", Line: 2, Redacted: "… (40)"},
		{Kind: inventory.GitHubToken, Path: "root/.netrc", Line: 2, Redacted: "ghp_… (40)", Sum: "sha256:" + hex.EncodeToString(sum[:])},
	}
	if diff := cmp.Diff(want, found.Secrets); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
}

func TestSamplesAreMinor(t *testing.T) {
	content := withSum("ghp_", 1)
	for path, want := range map[string]string{
		"app/token": "1 github-token", "app/contest/token": "1 github-token",
		"usr/share/doc/x/token": "1 github-token minor", "srv/node_modules/x/test/token": "1 github-token minor", "etc/ssl/private/ssl-cert-snakeoil.key": "1 github-token minor",
	} {
		if got := searched(t, path, content); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func TestWants(t *testing.T) {
	text := []byte(strings.Repeat("a line of text\n", 10))
	for name, test := range map[string]struct {
		size int64
		head []byte
		want bool
	}{
		"text":     {1000, text, true},
		"UTF-8":    {1000, []byte("\xef\xbb\xbfna\u00efve text, long enough"), true},
		"small":    {minSize - 1, text, false},
		"large":    {maxSize + 1, text, false},
		"ELF":      {1000, append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 57)...), false},
		"PNG":      {1000, []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR and more"), false},
		"gzip":     {1000, []byte("\x1f\x8b\x08\x08 and so on and so on"), false},
		"zero":     {1000, append(bytes.Clone(text), 0), false},
		"no bytes": {1000, nil, false},
	} {
		if got := (Extractor{}).Wants(image.Entry{Path: "a", Size: test.size}, test.head); got != test.want {
			t.Errorf("%s: wanted = %v", name, got)
		}
	}
}

func TestSecretsOfOneFileAreBounded(t *testing.T) {
	var b strings.Builder
	for i := range uint64(maxSecrets * 3) {
		b.WriteString(withSum("ghp_", i) + "\n")
	}
	found, err := Extractor{}.Extract(t.Context(), scantest.File("a", []byte(b.String())))
	if len(found.Secrets) != maxSecrets || err == nil {
		t.Errorf("%d secrets, %v: want a word about the rest", len(found.Secrets), err)
	}
}

// TestMinorSecretsHideNoOther: whoever wants to hide a token could put many of no
// use before it.
func TestMinorSecretsHideNoOther(t *testing.T) {
	var b strings.Builder
	for i := range uint64(maxSecrets * 3) {
		b.WriteString("AIza" + mixed(35, i) + "\n")
	}
	b.WriteString(withSum("ghp_", 1) + "\n")
	found, err := Extractor{}.Extract(t.Context(), scantest.File("a", []byte(b.String())))
	if n := len(found.Secrets); err != nil || n != maxMinor+1 || found.Secrets[n-1].Minor {
		t.Errorf("%d secrets, %v: want %d minor ones and the token", n, err, maxMinor)
	}
}

func FuzzExtract(f *testing.F) {
	for _, s := range []string{withSum("ghp_", 1), "aws_secret_access_key=" + mixed(40, 1), "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0." + mixed(43, 1), "xxQ~", "AKIA"} {
		f.Add("a", s)
	}
	f.Add("x/.netrc", "machine a password b")
	f.Add("config.json", `{"auths": {"a": {"auth": "YTpi"}}}`)
	f.Add("a", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
	f.Fuzz(func(t *testing.T, path, content string) {
		found, err := Extractor{}.Extract(t.Context(), scantest.File(path, []byte(content)))
		if (err != nil) != (len(found.Secrets) >= maxSecrets) || len(found.Secrets) > maxSecrets+1 {
			t.Errorf("%d secrets, %v", len(found.Secrets), err)
		}
		for _, s := range found.Secrets {
			if s.Line < 1 || s.Line > 1+strings.Count(content, "\n") || len(s.Redacted) > 30 {
				t.Errorf("%+v", s)
			}
		}
	})
}

func BenchmarkExtract(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("the of and to in is that for it as was with be by on not he his but at are this have from or had an they which one you were her all she there would their we him been has when who will more no if out so said what up its about into than them can only other new some could time these two may then do first any my now such like our over man me even most made after also did many before must through back years where much your way well down should because each just those people mr how too little state good very make world still own see men work long get here between both life being under never day same another know while last might us great old year off come since against go came right used take three")
	var text strings.Builder
	for text.Len() < maxSize-100 {
		text.WriteString(words[random.IntN(len(words))])
		text.WriteByte(" \n_(."[random.IntN(5)])
	}
	content := []byte(text.String())
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (Extractor{}).Extract(b.Context(), scantest.File("a", content)); err != nil {
			b.Fatal(err)
		}
	}
}
