// Package host puts the guard's locks onto a host that has a Docker Engine, takes
// them off again, and says whether they hold.
//
// # What is changed
//
// [Host.Plan] looks at the host and draws up every change, or says why nothing is
// changed: what is not understood is not touched. The engine gets a runtime, a
// default runtime and an authorization plugin; its socket moves into a folder that
// only root can enter, so that the guard can take its place. Where systemd hands
// the socket to the engine (-H fd://), systemd's socket unit is moved: "hosts" in
// the engine's configuration would contradict its command line, and docker.socket
// cannot be masked, because docker.service requires it. Elsewhere "hosts" is set.
//
// # How it is changed back
//
// Before anything is changed, a journal says what will be and holds what was
// there. Each change is a file that is replaced whole. Undoing looks at what is
// there now: what the installation wrote is replaced by what was there before; in
// what somebody edited since, only our own is undone. So an installation that was
// cut short is undone like a finished one, and undoing may itself be cut short and
// done again.
package host
