// Package spreadsheet writes cells that a spreadsheet shows and does not run.
package spreadsheet

import "strings"

// What a spreadsheet may take for a formula when it begins a cell.
const formulaStart = "=+-@\t\r\n＝＋－＠"

// Guard puts an apostrophe before a cell that a spreadsheet might run, and before
// one that already looks so guarded, so that Unguard gives back what was there.
func Guard(cell string) string {
	if startsFormula(strings.TrimLeft(cell, "'")) {
		return "'" + cell
	}
	return cell
}

// Unguard takes off what Guard put there.
func Unguard(cell string) string {
	if strings.HasPrefix(cell, "'") && startsFormula(strings.TrimLeft(cell, "'")) {
		return cell[1:]
	}
	return cell
}

func startsFormula(text string) bool {
	for _, first := range text {
		return strings.ContainsRune(formulaStart, first)
	}
	return false
}
