// Package all is the one list of what plimsoll recognises in images.
package all

import (
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/apk"
	"plimsoll/internal/scan/brew"
	"plimsoll/internal/scan/cargo"
	"plimsoll/internal/scan/conan"
	"plimsoll/internal/scan/cpan"
	"plimsoll/internal/scan/cran"
	"plimsoll/internal/scan/dotnet"
	"plimsoll/internal/scan/dpkg"
	"plimsoll/internal/scan/erlang"
	"plimsoll/internal/scan/gobinary"
	"plimsoll/internal/scan/graal"
	"plimsoll/internal/scan/hackage"
	"plimsoll/internal/scan/java"
	"plimsoll/internal/scan/luarocks"
	"plimsoll/internal/scan/native"
	"plimsoll/internal/scan/nix"
	"plimsoll/internal/scan/node"
	"plimsoll/internal/scan/pacman"
	"plimsoll/internal/scan/php"
	"plimsoll/internal/scan/pub"
	"plimsoll/internal/scan/python"
	"plimsoll/internal/scan/rpm"
	"plimsoll/internal/scan/ruby"
	"plimsoll/internal/scan/sbom"
	"plimsoll/internal/scan/secret"
	"plimsoll/internal/scan/swift"
)

// Extractors returns all extractors. Native code is recognised by products, or by
// those that are built in if that is nil.
func Extractors(products *native.Set) []scan.Extractor {
	return []scan.Extractor{
		dpkg.Extractor{},
		apk.Extractor{},
		rpm.Extractor{},
		pacman.Extractor{},
		nix.Extractor{},
		brew.Extractor{},
		gobinary.Extractor{},
		native.Extractor{Set: products},
		native.Notes{},
		cargo.Extractor{},
		graal.Extractor{},
		node.Packages{},
		node.Locks{},
		node.Zips{},
		python.Extractor{},
		secret.Extractor{},
		java.Extractor{},
		java.Releases{},
		dotnet.Deps{},
		dotnet.Locks{},
		dotnet.Specs{},
		dotnet.Assemblies{},
		dotnet.Bundles{},
		ruby.Gems{},
		ruby.Locks{},
		php.Composer{},
		php.Locks{},
		php.PEAR{},
		php.WordPress{},
		python.Records{},
		python.Runtime{},
		python.Archives{},
		python.Conda{},
		python.Locks{},
		sbom.Extractor{},
		erlang.Applications{},
		erlang.Locks{},
		conan.Extractor{},
		cpan.Extractor{},
		cran.Extractor{},
		hackage.Extractor{},
		luarocks.Extractor{},
		pub.Extractor{},
		swift.Extractor{},
	}
}
