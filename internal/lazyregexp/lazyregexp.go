// Package lazyregexp is for regular expressions that are not needed at once, and by
// most commands never. To compile all of them took longer than everything else at
// the start.
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
