// Package id holds the typed identifiers of the domain and how they are made.
//
// Ids are UUIDv7: they grant nothing, and the time in them is no secret from
// those who may see the row. The types are distinct so that the compiler
// notices a statement that forgot its environment.
package id

import (
	"fmt"
	"time"

	"github.com/google/uuid"
)

// The ids of the domain. Environment scopes all others.
type (
	Environment string
	User        string
	Token       string
	Request     string
	Message     string
	Session     string // the public id of a session: for lists, never the cookie
	Event       string
	Job         string
	Approval    string
	Report      string
	Open        string // one opening of a link
)

// OperatorEnvironment is the reserved environment of the people who run the
// server. Its id is the same in every database.
const OperatorEnvironment Environment = "00000000-0000-7000-8000-000000000000"

// New makes a fresh UUIDv7 (RFC 9562 section 5.7).
// It panics only when the system has no random source.
func New[T ~string]() T {
	return T(uuid.Must(uuid.NewV7()).String())
}

// Before gives the smallest id of a moment: every id made earlier sorts before it.
func Before[T ~string](t time.Time) T {
	ms := uint64(t.UnixMilli())
	return T(fmt.Sprintf("%08x-%04x-7000-8000-000000000000", ms>>16, ms&0xffff))
}

// Valid tells whether s has the form of an id, so that a garbage path costs no query.
func Valid(s string) bool {
	return len(s) == 36 && uuid.Validate(s) == nil
}
