// Package advisory is what is known to be wrong with which versions of what:
// OSV records (ossf.github.io/osv-schema), their ranges in the version order of
// each ecosystem, and severity.
package advisory
