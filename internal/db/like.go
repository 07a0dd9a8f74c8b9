package db

import "strings"

// Containing gives the pattern of LIKE … ESCAPE '\' for texts that contain this
// one, whatever it holds.
func Containing(text string) string { return "%" + likeEscaper.Replace(text) + "%" }

// likeEscaper takes the meaning from what LIKE would read as a pattern.
var likeEscaper = strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`)
