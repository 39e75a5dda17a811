// Package apparmor is the AppArmor profile of sealed containers: a third fence
// beside the user namespace and the seccomp profile, for the day when one of
// these has a hole. It takes away what no container needs whatever its team's
// profile grants: mounting, the kernel's switches below /proc and /sys, tracing
// what is not sealed.
//
// The guard loads the profile when it starts, by apparmor_parser; the runtime
// names it in the spec of each container when the kernel has it.
package apparmor

// Name is the profile's name in the kernel and in specs.
const Name = "plimsoll-container"

// Text is the profile in AppArmor's language (apparmor.d(5)). It includes
// nothing, so that it means the same on each host.
const Text = `profile ` + Name + ` flags=(attach_disconnected,mediate_deleted) {
  # What the container's other fences decide is not decided here again.
  file,
  network,
  capability,

  # The host may end a container; containers may signal and trace among themselves.
  signal (receive) peer=unconfined,
  signal (receive) peer={runc,crun,/usr/sbin/runc,/usr/bin/crun},
  signal (send, receive) peer=` + Name + `,
  ptrace (trace, read, tracedby, readby) peer=` + Name + `,

  # The tree of files stays as the runtime made it.
  deny mount,
  deny remount,
  deny umount,
  deny pivot_root,

  # No switch of the kernel is set, no part of its memory is looked at.
  deny /proc/sys/** wklx,
  deny /proc/{acpi,bus,driver,fs,irq,scsi,tty}/** wklx,
  deny /proc/{sysrq-trigger,mtrr,latency_stats,timer_stats} rwklx,
  deny /proc/{kcore,kmem,kmsg,mem,kallsyms,kpagecount,kpageflags,kpagecgroup,keys,key-users} rwklx,
  deny /sys/** wklx,
  deny /sys/{firmware,kernel/debug,kernel/tracing,kernel/security}/** rwklx,
  deny /sys/devices/virtual/powercap/** rwklx,
  deny /dev/{mem,kmem,port,kmsg} rwklx,

  # Capabilities over the whole host, which a user namespace does not have anyway.
  deny capability mac_admin,
  deny capability mac_override,
  deny capability sys_module,
  deny capability sys_rawio,
  deny capability sys_boot,
  deny capability syslog,
}
`
