// Package advisory is what is known to be wrong with which versions of what:
// OSV records (ossf.github.io/osv-schema), their ranges in the version order of
// each ecosystem, and severity.
//
// A [Record] is one advisory. It names packages by ecosystem, and for each the
// affected versions: ranges of events (introduced, fixed, last affected) and
// lists of single versions. What a range means depends on how the ecosystem
// orders versions ([OrderOf]): to dpkg "1.0~rc1" is older than "1.0", to npm
// "1.0-rc1" is. A version that its ecosystem could not have written is an error
// and never a guess.
package advisory
