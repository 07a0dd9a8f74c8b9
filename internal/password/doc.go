// Package password owns what a password is here: how it is normalised, which
// ones are refused, how it is hashed and how a hash, ours or imported, is
// compared with what somebody typed.
//
// Hashing runs in a bounded pool, so a flood of logins costs bounded memory
// and is answered with fault.Unavailable instead of taking the machine down.
// The cost of every hash is checked before any work is done on it.
//
// The package knows no database, no user and no clock; it never logs, and
// neither a password nor a hash is part of any of its errors.
package password
