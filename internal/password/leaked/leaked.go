// Package leaked knows the passwords that guessers try first, offline.
//
// It holds a list of digests, not of passwords, made by the program in gen from
// a published list; NOTICE names that list and its licence. It compares whole
// passwords without regard to case and never parts of them.
package leaked

import (
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"sort"
	"strings"
)

//go:generate go run ./gen

// MinLength is the length in code points below which passwords are not listed:
// no policy accepts them.
const MinLength = 8

const keySize = 8

// list holds the keys as big-endian numbers in ascending order.
//
//go:embed leaked.bin
var list string

// Contains tells whether the password, in any case, is in the list. The chance
// that another one is taken for it is below one in 10^14.
func Contains(plain string) bool {
	key := Key(plain)
	at := sort.Search(Count(), func(i int) bool { return keyAt(i) >= key })
	return at < Count() && keyAt(at) == key
}

// Count gives the number of passwords in the list.
func Count() int { return len(list) / keySize }

// Key gives the number under which a normalised password is listed.
func Key(plain string) uint64 {
	sum := sha256.Sum256([]byte(strings.ToLower(plain)))
	return binary.BigEndian.Uint64(sum[:])
}

func keyAt(i int) uint64 {
	return binary.BigEndian.Uint64([]byte(list[i*keySize : (i+1)*keySize]))
}
