// Package erlang recognises applications of the Erlang virtual machine by the
// resource file that every compiled one has, ebin/NAME.app (Erlang/OTP, app(5)),
// in Erlang's own libraries, in Elixir's, and in releases; and, as a second best,
// what the lock files of Mix and Rebar name.
package erlang

import (
	"context"
	"path"
	"slices"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/metadata"
)

// Applications is a [scan.Extractor] of compiled applications.
type Applications struct{}

var _ scan.Extractor = Applications{}

const maxApp = 4 << 20 // bytes of a resource file

// Name implements [scan.Extractor].
func (Applications) Name() string { return "erlang" }

// Version implements [scan.Extractor].
func (Applications) Version() int { return 1 }

// Wants implements [scan.Extractor].
func (Applications) Wants(e image.Entry, _ []byte) bool {
	return strings.HasSuffix(e.Path, ".app") && path.Base(path.Dir(e.Path)) == "ebin"
}

// Extract implements [scan.Extractor].
func (Applications) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	text, err := metadata.All(f, maxApp)
	if err != nil {
		return inventory.Found{}, err
	}
	name, version, err := application(text)
	if err != nil {
		return inventory.Found{}, err
	}
	own := inventory.Owned{Path: path.Dir(path.Dir(f.Path)) + "/", Package: name, Type: inventory.Hex}
	c := inventory.Component{Kind: inventory.Library, Type: inventory.Hex, Name: name, Version: version}
	switch {
	case slices.Contains(otp, name):
		c.Type = inventory.OTP
	case name == "elixir":
		c.Type, c.CPE = inventory.Generic, cpe("elixir-lang", "elixir", version)
	case slices.Contains(elixir, name):
		return inventory.Found{}, nil // parts of elixir, which has its own
	}
	own.Type = c.Type
	found := inventory.Found{Components: []inventory.Component{c}}
	if !strings.HasPrefix(own.Path, "..") && own.Path != "./" {
		found.Owned = []inventory.Owned{own}
	}
	return found, nil
}

// otp are the applications of Erlang/OTP, of today and of releases since 17.
var otp = []string{
	"asn1", "common_test", "compiler", "cosEvent", "cosEventDomain", "cosFileTransfer", "cosNotification", "cosProperty", "cosTime",
	"cosTransactions", "crypto", "debugger", "dialyzer", "diameter", "edoc", "eldap", "erl_docgen", "erl_interface", "erts", "et", "eunit",
	"ftp", "gs", "hipe", "ic", "inets", "jinterface", "kernel", "megaco", "mnesia", "observer", "odbc", "orber", "os_mon", "ose", "otp_mibs",
	"parsetools", "percept", "public_key", "reltool", "runtime_tools", "sasl", "snmp", "ssh", "ssl", "stdlib", "syntax_tools", "test_server",
	"tftp", "tools", "typer", "webtool", "wx", "xmerl",
}

// elixir are the applications that come with Elixir and have its version.
var elixir = []string{"eex", "ex_unit", "iex", "logger", "mix"}

func cpe(vendor, product, version string) string {
	version = strings.ToLower(version)
	if version == "" || strings.Trim(version, "0123456789abcdefghijklmnopqrstuvwxyz.") != "" {
		return ""
	}
	return "cpe:2.3:a:" + vendor + ":" + product + ":" + version + ":*:*:*:*:*:*:*"
}

// application returns the name and the version in {application, NAME, [{vsn,
// "VERSION"}, …]}.
func application(text string) (name, version string, err error) {
	t := terms{rest: text}
	for _, want := range []string{"{", "application", ","} {
		if t.next() != want {
			return "", "", fault.Errorf(fault.Invalid, "it does not begin as an application resource file does")
		}
	}
	name = t.next()
	before, last, depth := "", "", 1
	for token := t.next(); token != ""; token = t.next() {
		switch token {
		case "{", "[", "(", "<<":
			depth++
		case "}", "]", ")", ">>":
			depth--
		case ",":
			if before == "{" && last == "vsn" && depth == 3 {
				version, err = t.text(t.next())
				if err != nil {
					return name, "", err
				}
			}
		}
		before, last = last, token
	}
	if depth != 0 || name == "" {
		return name, version, fault.Errorf(fault.Invalid, "an application resource file that ends too early")
	}
	return name, version, nil
}
