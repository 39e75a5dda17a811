// Package httpstore reads trust metadata from plain TUF paths on a web server:
// "<base URL>/<file>", where a file's name is that of TUF ("2.root.json"), escaped
// as one element of a path. It reads only; [trust.Folder] writes what a web server
// can serve.
//
// Nothing that the server says is believed. How long it may take and how much it
// may send is bounded here; the rest is the client's work.
package httpstore
