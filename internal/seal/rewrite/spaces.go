package rewrite

import "strings"

// Slice returns the name of the systemd unit that holds the team's containers.
// A dash in a unit's name means "within": the team a-b must not be a part of the
// team a (systemd.slice(5), systemd-escape(1)).
func Slice(team string) string {
	return "plimsoll-" + strings.ReplaceAll(team, "-", `\x2d`) + ".slice"
}
