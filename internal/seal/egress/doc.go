// Package egress bounds where a container may send packets to: a list of
// addresses and ports, kept by nftables inside the container's own network
// namespace.
//
// The rules stand in one table, inet plimsoll, that is replaced as a whole in
// one transaction. What leaves the container is dropped unless it
//
//   - stays inside (the loopback, which is where an engine's own name server
//     listens),
//   - belongs to a connection that was allowed, or that came from outside to a
//     port of the container,
//   - is TCP or UDP to a destination of the list, or to port 53 of a resolver,
//   - or is what the kernel itself must say for IPv6 to work (neighbour discovery,
//     RFC 4861).
//
// Other protocols, echo requests among them, have nowhere to go. Nothing is
// forwarded. TCP and UDP are refused with an ICMP error, so that programs hear of
// it at once instead of waiting.
//
// The rules hold for IP. What bypasses IP must not be had: a profile that has a
// list of destinations and packet sockets or the rules themselves is refused, see
// [Compatible]; other families of sockets (AF_VSOCK, …) are refused by the seccomp
// profile. What the list cannot hold is what a listed destination passes on: a
// resolver that answers for the whole world is also a way out.
package egress
