package node

import "strings"

// folder is where npm, Yarn, pnpm and Bun install.
const folder = "node_modules"

// installed reports whether dir is the folder of an installed package: directly
// in a folder of modules, and that not part of a package's tests or examples.
func installed(dir string) bool {
	above, last := up(dir)
	if last == "" || last[0] == '@' || last[0] == '.' {
		return false
	}
	if outer, scope := up(above); strings.HasPrefix(scope, "@") {
		above = outer
	}
	return modules(above) && !sample(above)
}

// modules reports whether node looks for packages in dir: in node_modules, and
// as distributions have it also in folders of their own.
func modules(dir string) bool {
	above, last := up(dir)
	switch last {
	case folder:
		return true
	case "nodejs": // Debian: usr/share/nodejs, usr/lib/nodejs, usr/lib/x86_64-linux-gnu/nodejs
		if above == "usr/share" || above == "usr/lib" {
			return true
		}
		above, _ = up(above)
		return above == "usr/lib"
	}
	return false
}

// sample reports whether the folder of modules dir lies in the part of a package
// that holds tests or examples: what is in there was never installed.
func sample(dir string) bool {
	_, inside, ok := strings.Cut("/"+dir, "/"+folder+"/")
	if !ok {
		return false
	}
	named := true // the next element names a package
	for element := range strings.SplitSeq(inside, "/") {
		switch {
		case named:
			named = strings.HasPrefix(element, "@")
		case element == folder:
			named = true
		default:
			switch element {
			case "test", "tests", "__tests__", "fixture", "fixtures", "__fixtures__", "example", "examples", "testdata":
				return true
			}
		}
	}
	return false
}

// program reports whether dir is where images keep the program that they are
// for. Below folders of the system there are templates and parts of others.
func program(dir string) bool {
	if dir == "" {
		return true
	}
	top, rest, _ := strings.Cut(dir, "/")
	depth := strings.Count(dir, "/") + 1
	switch top {
	case "bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "run", "sbin", "sys", "tmp":
		return false
	case "usr":
		return depth == 3 && strings.HasPrefix(rest, "src/")
	case "var":
		return depth <= 3 && (strings.HasPrefix(rest, "www") || rest == "task")
	case "home":
		return depth == 2 || depth == 3
	}
	return depth <= 2 && !strings.Contains(dir, folder)
}

// folderName returns the name of the package that lies in dir.
func folderName(dir string) string {
	above, last := up(dir)
	if _, scope := up(above); strings.HasPrefix(scope, "@") {
		return scope + "/" + last
	}
	return last
}

// up splits off the last element of a path.
func up(p string) (dir, last string) {
	i := strings.LastIndexByte(p, '/')
	return p[:max(i, 0)], p[i+1:]
}
