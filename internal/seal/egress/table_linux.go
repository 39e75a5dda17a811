package egress

import (
	"encoding/binary"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

const tableName = "plimsoll"

const (
	loopbackType    = 772 // ARPHRD_LOOPBACK
	adminProhibited = 3   // NFT_REJECT_ICMPX_ADMIN_PROHIBITED
	register        = 1
)

// build puts a table into the transaction of conn that replaces ours.
func build(conn *nftables.Conn, closed bool, list []Destination) {
	table := &nftables.Table{Family: nftables.TableFamilyINet, Name: tableName}
	conn.AddTable(table) // deleting what is not there would fail
	conn.DelTable(table)
	conn.AddTable(table)

	base := func(name string, hook *nftables.ChainHook) *nftables.Chain {
		drop := nftables.ChainPolicyDrop
		return conn.AddChain(&nftables.Chain{
			Name: name, Table: table, Type: nftables.ChainTypeFilter,
			Hooknum: hook, Priority: nftables.ChainPriorityFilter, Policy: &drop,
		})
	}
	rule := func(chain *nftables.Chain, parts ...[]expr.Any) {
		var all []expr.Any
		for _, p := range parts {
			all = append(all, p...)
		}
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: all})
	}

	base("forward", nftables.ChainHookForward)
	output := base("output", nftables.ChainHookOutput)
	rule(output, meta(expr.MetaKeyOIFTYPE, u16(loopbackType)), accept)
	if closed {
		rule(base("input", nftables.ChainHookInput), meta(expr.MetaKeyIIFTYPE, u16(loopbackType)), accept)
		return
	}
	rule(output, state(expr.CtStateBitESTABLISHED), accept)
	for _, icmp := range []byte{unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6} { // errors about such connections; never what a helper expects
		rule(output, meta(expr.MetaKeyL4PROTO, []byte{icmp}), state(expr.CtStateBitRELATED), accept)
	}
	neighbours(output, rule)

	to := conn.AddChain(&nftables.Chain{Name: "destinations", Table: table})
	for _, d := range list {
		rule(to, destination(d), accept)
	}
	for _, p := range []byte{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
		rule(output, meta(expr.MetaKeyL4PROTO, []byte{p}), verdict(expr.VerdictJump, to.Name))
		rule(output, meta(expr.MetaKeyL4PROTO, []byte{p}), []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_ICMPX_UNREACH, Code: adminProhibited}})
	}
}

// neighbours lets the kernel say what IPv6 needs on a link: that it listens to a
// group (RFC 3810), looks for a router or a neighbour, or is one (RFC 4861). What
// a program sends has a user; what the kernel itself says has none.
func neighbours(output *nftables.Chain, rule func(*nftables.Chain, ...[]expr.Any)) {
	icmp := append(meta(expr.MetaKeyNFPROTO, []byte{unix.NFPROTO_IPV6}), meta(expr.MetaKeyL4PROTO, []byte{unix.IPPROTO_ICMPV6})...)
	anybody := []expr.Any{
		&expr.Meta{Key: expr.MetaKeySKUID, Register: register},
		&expr.Cmp{Op: expr.CmpOpGte, Register: register, Data: make([]byte, 4)},
	}
	rule(output, icmp, anybody, verdict(expr.VerdictDrop, ""))
	for _, kind := range []byte{131, 132, 143, 133, 135, 136} {
		rule(output, icmp, payload(expr.PayloadBaseTransportHeader, 0, []byte{kind}), accept)
	}
}

func destination(d Destination) []expr.Any {
	a := d.Prefix.Addr()
	family, offset := byte(unix.NFPROTO_IPV4), uint32(16) // of the destination in the header
	if a.Is6() {
		family, offset = unix.NFPROTO_IPV6, 24
	}
	all := meta(expr.MetaKeyNFPROTO, []byte{family})
	if d.Prefix.Bits() > 0 {
		addr, n := a.AsSlice(), uint32(a.BitLen()/8) //nolint:gosec // 4 or 16
		all = append(
			all,
			&expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: n},
			&expr.Bitwise{SourceRegister: register, DestRegister: register, Len: n, Mask: mask(d.Prefix), Xor: make([]byte, n)},
			&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: addr},
		)
	}
	// TCP and UDP have the destination's port at the same place.
	return append(all, payload(expr.PayloadBaseTransportHeader, 2, binary.BigEndian.AppendUint16(nil, d.Port))...)
}

func mask(p netip.Prefix) []byte {
	m := make([]byte, p.Addr().BitLen()/8)
	for i := range p.Bits() {
		m[i/8] |= 0x80 >> (i % 8)
	}
	return m
}

func meta(key expr.MetaKey, value []byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: key, Register: register}, &expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: value}}
}

func payload(base expr.PayloadBase, offset uint32, value []byte) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: register, Base: base, Offset: offset, Len: uint32(len(value))}, //nolint:gosec // one or two bytes
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: value},
	}
}

// state matches packets of a connection whose state has one of the bits.
func state(bits uint32) []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATE, Register: register},
		&expr.Bitwise{SourceRegister: register, DestRegister: register, Len: 4, Mask: binary.NativeEndian.AppendUint32(nil, bits), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: register, Data: make([]byte, 4)},
	}
}

func verdict(kind expr.VerdictKind, chain string) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: kind, Chain: chain}}
}

var accept = verdict(expr.VerdictAccept, "")

func u16(n uint16) []byte { return binary.NativeEndian.AppendUint16(nil, n) }
