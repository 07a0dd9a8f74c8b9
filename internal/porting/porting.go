// Package porting brings users in from a file and out into one, as CSV or JSON
// Lines, with the password hashes of other systems.
//
// An import is all or nothing unless it is told to be partial. All or nothing
// takes two passes: the first judges every line, writes nothing and keeps the
// users, ready to be written, in a temporary file; the second writes all of them
// in one transaction, because nothing else keeps the promise when the program is
// killed half-way. On the embedded database other changes wait while it runs
// (about five seconds for 100,000 users): bring more in with Partial, in steps
// of 500, or while few people are about. Memory stays small whatever the size of
// the file: 20 bytes a line and one step of lines at a time.
// Nobody is mailed: an invitation goes out when somebody sends it.
package porting

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/address"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/password"
	"github.com/sparekey/sparekey/internal/user"
)

// Porting holds what its verbs need.
type Porting struct {
	DB *db.DB
}

// Format is how a file is written.
type Format string

// The formats.
const (
	CSV       Format = "csv"   // RFC 4180, with a header row
	JSONLines Format = "jsonl" // one object a line
)

// FormatOf tells the format by a file's name: JSON Lines for .jsonl, .ndjson and
// .json, else CSV.
func FormatOf(file string) Format {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".jsonl", ".ndjson", ".json":
		return JSONLines
	default:
		return CSV
	}
}

// The fields of a user in a file. Email and name must be there.
const (
	fieldEmail        = "email"
	fieldName         = "name"
	fieldRole         = "role"  // member if empty
	fieldState        = "state" // invited, active or deactivated; see newUser
	fieldExternalID   = "external_id"
	fieldPasswordHash = "password_hash" // of any form that password.Import reads
)

var fields = []string{fieldEmail, fieldName, fieldRole, fieldState, fieldExternalID, fieldPasswordHash}

func unknownField(name string) error {
	return fault.New(fault.Invalid, "There is no field %.40q. The fields are %s.", name, strings.Join(fields, ", "))
}

func checkField(name string, before []string) error {
	switch {
	case !slices.Contains(fields, name):
		return unknownField(name)
	case slices.Contains(before, name):
		return fault.New(fault.Invalid, "The field %q stands there twice.", name)
	}
	return nil
}

// record is one line of a file, by field.
type record map[string]string

// maxExternalID is the most characters of an id that another system gave.
const maxExternalID = 200

// newUser judges a line. Without a password hash a user is invited, or stays
// deactivated; with one, active unless the line says deactivated.
func newUser(env id.Environment, r record) (user.New, error) {
	var (
		n   user.New
		err error
	)
	if n.Email, err = address.Parse(r[fieldEmail]); err != nil {
		return n, err
	}
	if n.Name, err = user.CheckName(r[fieldName]); err != nil {
		return n, err
	}
	if n.Role = access.Role(strings.TrimSpace(r[fieldRole])); n.Role == "" {
		n.Role = access.Member
	}
	if !n.Role.Valid() {
		return n, user.RoleFault(env)
	}
	if n.ExternalID, err = externalID(r[fieldExternalID]); err != nil {
		return n, err
	}
	if hash := strings.TrimSpace(r[fieldPasswordHash]); hash != "" {
		if n.PasswordHash, err = password.Import(hash); err != nil {
			return n, err
		}
		n.PasswordShape = password.Shape(n.PasswordHash)
	}
	n.State, err = state(user.State(strings.TrimSpace(r[fieldState])), n.PasswordHash != "")
	return n, err
}

func state(said user.State, hasPassword bool) (user.State, error) {
	switch {
	case said != "" && !said.Valid():
		return said, fault.InvalidField(fieldState, "The state is one of invited, active and deactivated.")
	case said == user.Deactivated:
		return said, nil
	case said == user.Invited && hasPassword:
		return said, fault.InvalidField(fieldState, "Somebody who is invited has no password yet: leave out the password hash, or say active.")
	case hasPassword:
		return user.Active, nil
	default:
		return user.Invited, nil
	}
}

func externalID(text string) (string, error) {
	text = strings.TrimSpace(text)
	if len(text) > maxExternalID || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\ufffd' }) {
		return "", fault.InvalidField(fieldExternalID, "An external id has at most 200 characters, all of them printable.")
	}
	return text, nil
}

// mayPort asks for the permission to create users, on import and export alike.
func mayPort(actor access.Actor, env environment.Environment) error {
	if !actor.Operator && actor.Environment != env.ID {
		return fault.New(fault.NotFound, "There is no such environment.")
	}
	return access.Check(actor, env.ID, access.CreateUser)
}
