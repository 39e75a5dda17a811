package inventory

import (
	"cmp"
	"slices"

	"plimsoll/internal/ref"
)

// SecretKind says what a secret opens.
type SecretKind string

// The kinds of secret.
const (
	PrivateKey        SecretKind = "private-key"
	EncryptedKey      SecretKind = "encrypted-private-key" // a passphrase stands between it and its use
	GCPServiceAccount SecretKind = "gcp-service-account"
	GoogleAPIKey      SecretKind = "google-api-key"
	AWSAccessKey      SecretKind = "aws-access-key"    // the identifier; of no use without the secret
	AWSSecretKey      SecretKind = "aws-secret-key"    // #nosec G101 -- a name
	AzureStorageKey   SecretKind = "azure-storage-key" // #nosec G101 -- a name
	AzureClientSecret SecretKind = "azure-client-secret"
	GitHubToken       SecretKind = "github-token"
	GitLabToken       SecretKind = "gitlab-token"
	SlackToken        SecretKind = "slack-token"
	SlackWebhook      SecretKind = "slack-webhook"
	NPMToken          SecretKind = "npm-token"
	PyPIToken         SecretKind = "pypi-token"
	DockerHubToken    SecretKind = "dockerhub-token" // #nosec G101 -- a name
	VaultToken        SecretKind = "vault-token"
	StripeKey         SecretKind = "stripe-key"
	RegistryPassword  SecretKind = "registry-password" // in a configuration of Docker's
	NetrcPassword     SecretKind = "netrc-password"
	GitPassword       SecretKind = "git-password"
	KubernetesKey     SecretKind = "kubernetes-client-key"
	JSONWebToken      SecretKind = "json-web-token" // #nosec G101 -- a name
)

// Secret is something in a file that opens a door, which whoever has the image
// has, too. The secret itself is in no field.
type Secret struct {
	Kind SecretKind `json:"kind"`
	Path string     `json:"path"` // in the image, without a leading slash
	Line int        `json:"line"` // from 1
	// Redacted is the beginning of the secret, four characters, and its length;
	// of a password, which a person may have chosen, only the length.
	Redacted string `json:"redacted"`
	// Sum is "sha256:" and the SHA-256 of the secret, so that two findings can be
	// compared. Passwords have none: it could be guessed from.
	Sum string `json:"sum,omitempty"`
	// Minor says that it may open nothing: it is encrypted, an identifier only,
	// short-lived, or lies where samples and tests lie.
	Minor bool `json:"minor,omitempty"`
}

// FoundSecret is a secret and the layer that ships it.
type FoundSecret struct {
	Layer ref.Digest `json:"layer"`
	Index int        `json:"index"`
	Secret
	// Visible says that the file is in the final image. One that a later layer
	// removed still ships.
	Visible bool `json:"visible"`
}

// ShippedSecret is the kind of [FoundSecret.Component].
const ShippedSecret Kind = "secret"

// Component returns the secret as a component, so that rules can speak of it:
// its path as the name, and what it opens as the version.
func (s *FoundSecret) Component() Component {
	return Component{
		Kind: ShippedSecret, Type: Generic, Name: s.Path, Version: string(s.Kind),
		Evidence: []Evidence{{Layer: s.Layer, Index: s.Index, Path: s.Path, Method: "secret", Confidence: 1}},
	}
}

// secrets gathers those of all layers.
func (v *Inventory) secrets(r *replay, layers []*Facts) {
	v.Secrets = []FoundSecret{}
	for i, f := range layers {
		for k := range f.Files {
			file := &f.Files[k]
			there := r.files[file.Path]
			for _, l := range file.Found {
				for _, s := range l.Secrets {
					s.Path = cmp.Or(s.Path, file.Path)
					v.Secrets = append(v.Secrets, FoundSecret{Layer: f.Digest, Index: i, Secret: s, Visible: there != nil && there.layer == i})
				}
			}
		}
	}
	slices.SortStableFunc(v.Secrets, func(a, b FoundSecret) int {
		return cmp.Or(cmp.Compare(a.Index, b.Index), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Kind, b.Kind))
	})
	v.Secrets = slices.Compact(v.Secrets)
}
