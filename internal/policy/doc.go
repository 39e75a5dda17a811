// Package policy is the document that says which images may run where and what
// each team gets, and the judgement of one image by it.
//
// A document is YAML (see [Document] for its fields) and is read strictly: what
// is unknown, written twice or of the wrong type is refused with its line and
// the name of its field, and so is what this version knows and cannot enforce.
// Nothing in a document is ever passed over in silence.
//
// [Document.Judge] looks at the facts about an image, one demand of the
// environment after the other, and gives one [verdict.Reason] for each: who
// signed it, whether all of it was scanned, how old the advisories are, and each
// rule. It does not stop at the first denial. It computes and nothing else: the
// facts, and the time, are handed in. [Document.Needs] says which facts an
// environment demands, so that nobody gathers more.
//
// Rules are CEL expressions (github.com/google/cel-spec) that say what to deny;
// see [Rule] for their variables. A rule that fails to evaluate denies.
package policy
