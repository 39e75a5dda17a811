// Package softpiv is a PIV card in software, for tests: it answers the commands
// of NIST SP 800-73-4 and Yubico's additions (attestation, metadata, PIN and
// touch policies) as a YubiKey does, and does what a real card cannot be asked to
// do twice: its touch is given, delayed or never given, and it is pulled out in
// the middle of a command.
//
// [Card] speaks APDUs. [Start] runs the machine's own pcscd with cards in a
// virtual reader (vpcd), at a socket of its own, so that every program which uses
// smart cards can drive them.
package softpiv
