// Package all is the one list of what plimsoll recognises in images.
package all

import (
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/apk"
	"plimsoll/internal/scan/brew"
	"plimsoll/internal/scan/dotnet"
	"plimsoll/internal/scan/dpkg"
	"plimsoll/internal/scan/gobinary"
	"plimsoll/internal/scan/java"
	"plimsoll/internal/scan/nix"
	"plimsoll/internal/scan/node"
	"plimsoll/internal/scan/pacman"
	"plimsoll/internal/scan/php"
	"plimsoll/internal/scan/python"
	"plimsoll/internal/scan/rpm"
	"plimsoll/internal/scan/ruby"
)

// Extractors returns all extractors.
func Extractors() []scan.Extractor {
	return []scan.Extractor{
		dpkg.Extractor{},
		apk.Extractor{},
		rpm.Extractor{},
		pacman.Extractor{},
		nix.Extractor{},
		brew.Extractor{},
		gobinary.Extractor{},
		node.Packages{},
		node.Locks{},
		python.Extractor{},
		java.Extractor{},
		java.Releases{},
		dotnet.Deps{},
		dotnet.Locks{},
		dotnet.Specs{},
		dotnet.Assemblies{},
		ruby.Gems{},
		ruby.Locks{},
		php.Composer{},
		php.Locks{},
		php.PEAR{},
		php.WordPress{},
	}
}
