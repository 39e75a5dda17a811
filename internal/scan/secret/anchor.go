package secret

// anchor is a text that every secret of some kind has. The search looks for its
// letters from skip on, where they are rarer: there must be four or more.
type anchor struct {
	text string
	skip int
	rule func(*search, int) // told where the text begins
}

// anchors are all that is looked for.
var anchors = []anchor{
	{" PRIVATE KEY", 2, (*search).pem},
	{"AKIA", 0, (*search).awsID},
	{"ASIA", 0, (*search).awsID},
	{"secret_access_key", 12, (*search).awsSecret},
	{"SECRET_ACCESS_KEY", 13, (*search).awsSecret},
	{"AccountKey=", 6, (*search).azureStorage},
	{"SharedAccessKey=", 5, (*search).azureStorage},
	{"AIza", 0, (*search).google},
	{"ghp_", 0, (*search).github},
	{"gho_", 0, (*search).github},
	{"ghu_", 0, (*search).github},
	{"ghs_", 0, (*search).github},
	{"ghr_", 0, (*search).github},
	{"github_pat_", 3, (*search).githubFine},
	{"glpat-", 0, (*search).gitlab},
	{"xoxb-", 0, (*search).slack},
	{"xoxp-", 0, (*search).slack},
	{"xoxa-", 0, (*search).slack},
	{"xoxr-", 0, (*search).slack},
	{"xoxs-", 0, (*search).slack},
	{"hooks.slack.com/services/", 1, (*search).slackHook},
	{"npm_", 0, (*search).npm},
	{"_authToken", 4, (*search).npmAuth},
	{"pypi-AgEI", 5, (*search).pypi},
	{"dckr_pat_", 2, (*search).dockerHub},
	{"hvs.", 0, (*search).vault},
	{"sk_live_", 0, (*search).stripe},
	{"rk_live_", 0, (*search).stripe},
	{"client-key-data", 8, (*search).kubernetes},
	{"eyJh", 0, (*search).jwt},
	{"eyJ0", 0, (*search).jwt},
	{"eyJr", 0, (*search).jwt},
}

// stride is how far apart the pairs of letters lie that are looked at. Of each
// anchor, as many pairs side by side are known, so that one of them is met
// wherever it begins.
const stride = 3

// pairs says which pairs of letters may be a part of an anchor: one bit each,
// eight kilobytes, and which anchors those are.
type pairs struct {
	bits  [1 << 16 / 64]uint64
	of    [1 << 16]uint8 // place in lists
	lists [][]candidate
}

// candidate is an anchor and where in it the pair stands.
type candidate struct {
	anchor *anchor
	at     int
}

var table = newPairs()

func newPairs() *pairs {
	p := &pairs{lists: make([][]candidate, 1)}
	for i := range anchors {
		a := &anchors[i]
		for k := a.skip; k < a.skip+stride; k++ {
			v := pair(a.text[k], a.text[k+1])
			p.bits[v/64] |= 1 << (v % 64)
			if p.of[v] == 0 {
				p.of[v] = uint8(len(p.lists)) // #nosec G115 -- three for each of some thirty anchors
				p.lists = append(p.lists, nil)
			}
			p.lists[p.of[v]] = append(p.lists[p.of[v]], candidate{a, k})
		}
	}
	return p
}

func pair(a, b byte) uint16 { return uint16(a) | uint16(b)<<8 }

// find calls fn with every anchor in text and where it begins, each once.
func find(text []byte, fn func(a *anchor, at int)) {
	bits := &table.bits
	for i := 0; i+1 < len(text); i += stride {
		v := pair(text[i], text[i+1])
		if bits[v/64]&(1<<(v%64)) == 0 {
			continue
		}
		for _, c := range table.lists[table.of[v]] {
			if at := i - c.at; at >= 0 && len(text)-at >= len(c.anchor.text) && string(text[at:at+len(c.anchor.text)]) == c.anchor.text {
				fn(c.anchor, at)
			}
		}
	}
}
