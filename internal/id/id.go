// Package id holds the typed identifiers of the domain and how they are made.
//
// Ids are UUIDv7: they grant nothing, and the time in them is no secret from
// those who may see the row. The types are distinct so that the compiler
// notices a statement that forgot its environment.
package id

import (
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
)

// kind lists every id type, so that New serves them all.
type kind interface {
	~string
}

// New makes a fresh UUIDv7 (RFC 9562 section 5.7).
// It panics only when the system has no random source.
func New[T kind]() T {
	return T(uuid.Must(uuid.NewV7()).String())
}

// Valid tells whether s has the form of an id, so that a garbage path costs no query.
func Valid(s string) bool {
	return len(s) == 36 && uuid.Validate(s) == nil
}
