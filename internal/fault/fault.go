// Package fault holds the few kinds of error that somebody acts on.
//
// Every other error is internal: doors log it and show a request number.
// A fault carries one clear sentence for a person and never a secret.
// HTTP status codes are the doors' business and do not appear here.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Kind says what sort of answer an error deserves.
type Kind string

// The kinds. An error without one is internal.
const (
	Invalid     Kind = "invalid"     // the input cannot be accepted as it is
	NotFound    Kind = "not found"   // no such thing, or not in this environment
	Conflict    Kind = "conflict"    // it clashes with what is there
	Denied      Kind = "denied"      // the actor may not do this
	Throttled   Kind = "throttled"   // too often; see Error.RetryAfter
	Unavailable Kind = "unavailable" // try again soon; see Error.RetryAfter
)

// Field is one refused input field.
type Field struct {
	Name   string // the form field or column, for example "email"
	Reason string // a sentence for the person
}

// Error is a fault with its sentence for a person.
type Error struct {
	Kind       Kind
	Sentence   string
	Fields     []Field
	RetryAfter time.Duration // for Throttled and Unavailable
	Cause      error         // for the log only, never shown
}

// Error gives the chain for the log.
func (e *Error) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("%s: %s: %v", e.Kind, e.Sentence, e.Cause)
	}
	return fmt.Sprintf("%s: %s", e.Kind, e.Sentence)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// New makes a fault with a formatted sentence.
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Sentence: fmt.Sprintf(format, args...)}
}

// Wrap makes a fault whose cause goes to the log.
func Wrap(kind Kind, cause error, sentence string) *Error {
	return &Error{Kind: kind, Sentence: sentence, Cause: cause}
}

// InvalidField refuses one field of a form.
func InvalidField(name, reason string) *Error { return OfField(Invalid, name, reason) }

// OfField refuses one field of a form for another reason than its form.
func OfField(kind Kind, name, reason string) *Error {
	return &Error{Kind: kind, Sentence: reason, Fields: []Field{{Name: name, Reason: reason}}}
}

// Throttle refuses because of a limit that lifts after the given time.
func Throttle(after time.Duration, sentence string) *Error {
	return &Error{Kind: Throttled, Sentence: sentence, RetryAfter: after}
}

// KindOf gives the kind of the first fault in the chain, or "" for an internal error.
func KindOf(err error) Kind {
	if f := As(err); f != nil {
		return f.Kind
	}
	return ""
}

// Is tells whether the chain holds a fault of this kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }

// As gives the first fault in the chain, or nil.
func As(err error) *Error {
	var f *Error
	if errors.As(err, &f) {
		return f
	}
	return nil
}
