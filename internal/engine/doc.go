// Package engine stands in front of Docker's socket: a proxy that knows who
// calls, and lets through what that caller's team may ask for.
//
// # How a request goes through
//
// The caller is whoever the kernel says is at the other end of the unix socket,
// or the subject of a client certificate. The path is decoded once, cleaned and
// looked up in a table of routes: what is not in the table is refused. The query
// may hold known names only. A body is decoded into the engine's own types, its
// fields are compared with the profile of the caller's team, and what goes on to
// the engine is written anew from what was judged; the client's own bytes never
// reach it. Streams (a build's context, an image's archive, a terminal) are
// carried as they are, after the request that opens them was judged.
//
// Containers, volumes, networks, execs and images belong to teams. What is not
// the caller's team's is not found, whatever name or part of an ID is used.
//
// # What else is here
//
// [Nonces] are the one-time numbers by which the engine's authorization plugin
// knows a request that the proxy has judged. [Guard] is what the proxy asks and
// tells: who is in which team, which image may run, what was made.
package engine
