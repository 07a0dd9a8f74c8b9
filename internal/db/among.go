package db

import (
	"fmt"
	"strings"
	"sync"
)

// Among gives the inside of an IN (...) for values, and args with the values
// added. Their number is rounded up to a power of two by repeating the last, so
// that the texts of statements stay few. For at most a few hundred values;
// without any it gives NULL, which nothing is among.
func Among[T ~string](args []any, values []T) (string, []any) {
	if len(values) == 0 {
		return "NULL", args
	}
	size := 1
	for size < len(values) {
		size *= 2
	}
	places := make([]string, size)
	for i := range places {
		args = append(args, string(values[min(i, len(values)-1)]))
		places[i] = fmt.Sprintf("$%d", len(args))
	}
	return strings.Join(places, ", "), args
}

// Values gives the rows of placeholders behind VALUES for an INSERT of several rows.
func Values(rows, columns int) string {
	if text, ok := valuesTexts.Load([2]int{rows, columns}); ok {
		return text.(string)
	}
	var b strings.Builder
	for i := range rows * columns {
		switch {
		case i == 0:
			b.WriteString("(")
		case i%columns == 0:
			b.WriteString("), (")
		default:
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "$%d", i+1)
	}
	b.WriteString(")")
	valuesTexts.Store([2]int{rows, columns}, b.String())
	return b.String()
}

var valuesTexts sync.Map // [2]int -> string
