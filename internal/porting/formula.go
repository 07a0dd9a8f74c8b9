package porting

import "strings"

// What a spreadsheet may take for a formula when it begins a cell.
const formulaStart = "=+-@\t\r\n＝＋－＠"

// guard puts an apostrophe before a cell that a spreadsheet might run, and before
// one that already looks so guarded, so that unguard gives back what was there.
func guard(cell string) string {
	if startsFormula(strings.TrimLeft(cell, "'")) {
		return "'" + cell
	}
	return cell
}

// unguard takes off what guard put there.
func unguard(cell string) string {
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
