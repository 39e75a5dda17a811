package main

import "slices"

// A recipe says what is in an image. The order of its layers is: base, packages,
// Go program, npm packages, Python packages, note.
type recipe struct {
	archive  string   // which Debian archive: a key of archives
	base     []string // Debian packages of the first layer
	packages []string // Debian packages of the second, or of more
	split    int      // how many layers they make, of about the same size; 0 means one
	bare     bool     // without the layers of languages
	set      string   // "old" or "new": which versions the language layers take
	note     string   // a last, tiny layer that makes an image of its own
}

// archives are the sources by name: the suites of Debian's archive, and whether
// those of its security archive and of updates are in.
var archives = map[string]struct {
	suite  string
	recent bool
}{
	"main":     {"bookworm", false},
	"security": {"bookworm", true},
	"next":     {"trixie", true},
}

var (
	baseSystem = []string{"base-files", "base-passwd", "bash", "coreutils", "dash", "dpkg", "findutils", "grep", "libc-bin", "login", "passwd", "sed", "util-linux"}
	services   = []string{"expat", "nginx", "openssl", "perl", "python3.11"}
	workshop   = []string{"build-essential", "cmake", "git", "nodejs", "python3"}
)

var recipes = map[string]recipe{
	"old":      {archive: "main", base: baseSystem, packages: services, set: "old"},
	"new":      {archive: "security", base: baseSystem, packages: services, set: "new"},
	"unsigned": {archive: "security", base: baseSystem, packages: services, set: "new", note: "nobody has signed this image\n"},
	"altered":  {archive: "security", base: baseSystem, packages: services, set: "new", note: "this layer will be altered\n"},
	"foreign":  {archive: "security", base: baseSystem, packages: services, set: "new", note: "a stranger has signed this image\n"},
	"big":      {archive: "main", base: baseSystem, packages: workshop, set: "old"},
	// For the benchmark: little native code among many packages, one layer, even
	// layers, and what people call a fat image.
	"mix":    {archive: "main", base: baseSystem, packages: []string{"npm", "perl", "python3", "python3-babel", "python3-django", "python3-twisted", "ruby"}, set: "old"},
	"single": {archive: "main", base: slices.Concat(baseSystem, workshop), bare: true},
	"even":   {archive: "main", base: baseSystem, packages: workshop, split: 6, bare: true},
	"huge":   {archive: "main", base: baseSystem, packages: slices.Concat(workshop, []string{"chromium", "golang-go", "maven", "npm", "openjdk-17-jdk-headless", "python3-numpy", "texlive-latex-base"}), set: "old"},
}

// pythonArchive is where the Python packages of a set come from.
var pythonArchive = map[string]string{"old": "main", "new": "next"}

// pythonPackages are unpacked without a dpkg record.
var pythonPackages = []string{"python3-certifi", "python3-django", "python3-idna", "python3-jinja2", "python3-requests", "python3-sqlparse", "python3-urllib3", "python3-werkzeug"}
