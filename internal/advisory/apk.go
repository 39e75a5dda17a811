package advisory

import (
	"cmp"
	"fmt"
	"strings"
)

// apkVersion is a version of an Alpine package (apk-package(5)):
// 1.2.3a_alpha4~0f1e-r5.
type apkVersion struct {
	numbers  []string    // runs of digits, at least one
	letter   string      // one lower-case letter or ""
	patch    string      // digits after the letter, an old custom: 1.9.5p2
	suffixes []apkSuffix // in the order written
	commit   string      // hexadecimal digits or ""
	revision string      // digits or ""
}

// apkSuffix is a word after the numbers, with its number.
type apkSuffix struct {
	rank   int // below 0: before the release; above: after it
	number string
}

// apkRanks are the suffixes in their order; 0 stands for "no suffix".
var apkRanks = map[string]int{"alpha": -4, "beta": -3, "pre": -2, "rc": -1, "cvs": 1, "svn": 2, "git": 3, "hg": 4, "p": 5}

func parseApk(version string) (v apkVersion, err error) {
	rest := version
	for {
		n := digits(rest)
		if n == 0 {
			return v, fmt.Errorf("a number is missing")
		}
		v.numbers, rest = append(v.numbers, rest[:n]), rest[n:]
		if !strings.HasPrefix(rest, ".") {
			break
		}
		rest = rest[1:]
	}
	if rest != "" && rest[0] >= 'a' && rest[0] <= 'z' {
		n := digits(rest[1:])
		v.letter, v.patch, rest = rest[:1], rest[1:1+n], rest[1+n:]
	}
	for strings.HasPrefix(rest, "_") {
		word := rest[1:]
		word = word[:letters(word)]
		rank, known := apkRanks[word]
		if !known {
			return v, fmt.Errorf("unknown suffix %q", word)
		}
		rest = rest[1+len(word):]
		n := digits(rest)
		v.suffixes, rest = append(v.suffixes, apkSuffix{rank, rest[:n]}), rest[n:]
	}
	if after, ok := strings.CutPrefix(rest, "~"); ok {
		rest = strings.TrimLeft(after, "0123456789abcdef")
		v.commit = after[:len(after)-len(rest)]
	}
	if after, ok := strings.CutPrefix(rest, "-r"); ok && digits(after) == len(after) && after != "" {
		v.revision, rest = after, ""
	}
	if rest != "" {
		return v, fmt.Errorf("%q cannot follow", rest)
	}
	return v, nil
}

func (v apkVersion) compare(o apkVersion) int {
	return cmp.Or(
		compareApkNumbers(v.numbers, o.numbers),
		strings.Compare(v.letter, o.letter),
		compareDigits(v.patch, o.patch),
		compareApkSuffixes(v.suffixes, o.suffixes),
		strings.Compare(v.commit, o.commit),
		compareDigits(v.revision, o.revision),
	)
}

// compareApkNumbers compares number by number; after the first, one that starts
// with a zero is compared as a text, as a fraction is.
func compareApkNumbers(a, b []string) int {
	for i := range min(len(a), len(b)) {
		compare := compareDigits
		if i > 0 && (a[i][0] == '0' || b[i][0] == '0') {
			compare = strings.Compare
		}
		if c := compare(a[i], b[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

func compareApkSuffixes(a, b []apkSuffix) int {
	for i := range max(len(a), len(b)) {
		var x, y apkSuffix
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if c := cmp.Or(cmp.Compare(x.rank, y.rank), compareDigits(x.number, y.number)); c != 0 {
			return c
		}
	}
	return 0
}
