// Package lazyregexp is for regular expressions that few runs of the program need.
// To compile all of them takes longer than everything else at its start.
package lazyregexp

import (
	"regexp"
	"sync"
)

// New gives a function that compiles the text when it is first called, and gives
// the same expression from then on. A text that does not compile panics there.
func New(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}
