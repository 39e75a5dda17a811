package policy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"plimsoll/internal/fault"
)

// Bounds on the shape of a document, so that a parser that descends into it does
// not run out of stack.
const (
	maxDepth  = 64  // brackets inside each other
	maxIndent = 200 // column of a block's key or dash
)

// position is where something stands in a document, from 1.
type position struct{ line, column int }

func (p position) String() string { return fmt.Sprintf("%d:%d", p.line, p.column) }

func at(t *token.Token) position {
	if t == nil || t.Position == nil {
		return position{1, 1}
	}
	return position{t.Position.Line, t.Position.Column}
}

// parseYAML returns the body of the one document in b.
func parseYAML(name string, b []byte) (_ ast.Node, err error) {
	if len(b) > maxDocument {
		return nil, fault.Errorf(fault.Invalid, "policy %q is larger than %d bytes", name, maxDocument)
	}
	defer func() { // the parser indexes its tokens boldly; what makes it stumble is no document
		if r := recover(); r != nil {
			err = fault.Errorf(fault.Invalid, "policy %q is not YAML: the parser gave up: %v", name, r)
		}
	}()
	tokens := lexer.Tokenize(string(b))
	if err := bounded(name, tokens); err != nil {
		return nil, err
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		return nil, syntaxError(name, err)
	}
	switch {
	case len(file.Docs) == 0 || file.Docs[0].Body == nil:
		return nil, fault.Errorf(fault.Invalid, "policy %q is empty", name)
	case len(file.Docs) > 1:
		return nil, fault.Errorf(fault.Invalid, "%s:%s: a policy is one YAML document, this is another", name, at(file.Docs[1].Start))
	}
	return file.Docs[0].Body, nil
}

// bounded refuses what is nested too deeply and what makes one part of a
// document stand for another.
func bounded(name string, tokens token.Tokens) error {
	depth := 0
	for _, t := range tokens {
		refuse := ""
		switch t.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType, token.TagType, token.DirectiveType:
			refuse = "anchors, aliases, merge keys, tags and directives are not taken: write out what is meant"
		case token.MappingStartType, token.SequenceStartType:
			depth++
		case token.MappingEndType, token.SequenceEndType:
			depth--
		case token.SequenceEntryType, token.MappingKeyType, token.MappingValueType:
			if depth == 0 && at(t).column > maxIndent {
				refuse = fmt.Sprintf("a block is indented by more than %d columns", maxIndent)
			}
		case token.InvalidType:
			refuse = t.Error
		default: // a word, a text, a number: nothing that nests or stands for another part
		}
		if depth > maxDepth {
			refuse = fmt.Sprintf("more than %d brackets are open", maxDepth)
		}
		if refuse != "" {
			return fault.Errorf(fault.Invalid, "%s:%s: %s", name, at(t), refuse)
		}
	}
	return nil
}

// syntaxError gives the parser's own words with their place.
func syntaxError(name string, err error) error {
	var y interface {
		GetToken() *token.Token
		GetMessage() string
	}
	if errors.As(err, &y) {
		return fault.Errorf(fault.Invalid, "%s:%s: %s", name, at(y.GetToken()), y.GetMessage())
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	return fault.Errorf(fault.Invalid, "policy %q is not YAML: %s", name, text)
}
