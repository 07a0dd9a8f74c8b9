package db

import (
	"fmt"
	"strings"
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
