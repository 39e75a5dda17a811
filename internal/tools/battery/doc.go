// Battery attacks container engines that it starts itself: a plain one, one
// with a user namespace for all of its containers (--userns-remap), and one
// whose default runtime is plimsoll-runtime. Each attack is tried on each, so
// that what the seal stops is seen to work without it.
//
// Attacks aim at canaries and processes that were made for it, never at files of
// the machine. What ordinary use needs is tried beside them, on the plain engine
// as the control and on the sealed one: refusing everything is no defence.
//
//	go run ./internal/tools/battery -table
//
// writes the table of what was observed to docs/sealed-attacks.md. The tests do
// the same and compare; they run when PLIMSOLL_BATTERY is set.
package main
