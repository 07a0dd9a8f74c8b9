package password

import (
	"encoding/base64"
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"github.com/sparekey/sparekey/internal/fault"
)

// Import takes a hash that another system made, checks its form and its cost, and
// gives the canonical text to store, which Verify takes. It hashes nothing.
//
// Forms:
//
//	bcrypt           $2a$ $2b$ $2y$ (not $2x$, whose eighth bit was wrong), cost up to 14
//	argon2id, i, d   $argon2id$v=19$m=65536,t=3,p=4$SALT$HASH
//	scrypt           $scrypt$ln=15,r=8,p=1$SALT$HASH
//	PBKDF2           $pbkdf2-sha256$i=600000,l=32$SALT$HASH, $pbkdf2-sha256$600000$SALT$HASH
//	                 (sha1, sha256, sha512; $pbkdf2$ is sha1)
//	Django           pbkdf2_sha256$…, pbkdf2_sha1$…, argon2$…, bcrypt$…, bcrypt_sha256$…, scrypt$…
//	Firebase scrypt  $firebase-scrypt$ln=14,r=8,p=1$SALT$SEPARATOR$SIGNER_KEY$HASH
//	LDAP             {SSHA}, {SSHA256}, {SSHA512}
//
// Firebase exports salt and hash for each user, and for the project mem_cost
// (here ln), rounds (here r), the salt separator and the signer key; all binary
// values stand in base 64, with or without padding, p may be left out.
//
// Limits: 128 MiB, salts of 128 bytes, 2,000,000 rounds of PBKDF2. The error is a
// fault of the field "password_hash" and does not contain the hash.
func Import(encoded string) (string, error) {
	d, err := parse(encoded)
	switch {
	case err == nil:
		return d.encode(), nil
	case isCostly(err):
		return "", fault.InvalidField("password_hash", "Checking this password hash would take too much memory or time.")
	case err == errUnknown: //nolint:errorlint // our own, never wrapped
		return "", fault.InvalidField("password_hash", "This is not a password hash of a form we know: bcrypt, argon2, scrypt, PBKDF2, Django, Firebase scrypt or SSHA.")
	default:
		return "", fault.InvalidField("password_hash", "This password hash is incomplete or damaged.")
	}
}

// parse takes a hash apart, strictly, and checks what it costs.
func parse(encoded string) (*digest, error) {
	if len(encoded) > maxEncoded {
		return nil, errCostly
	}
	d, err := dispatch(encoded)
	if err != nil {
		return nil, err
	}
	if err := d.check(); err != nil {
		return nil, err
	}
	return d, nil
}

func dispatch(encoded string) (*digest, error) {
	if strings.HasPrefix(encoded, "{") {
		return parseLDAP(encoded)
	}
	name, rest, found := strings.Cut(encoded, "$")
	switch {
	case !found:
		return nil, errUnknown
	case name == "":
		return parseDollar(rest)
	default:
		return parseDjango(name, rest)
	}
}

// parseDollar reads the forms that begin with a dollar sign, which is already cut.
func parseDollar(text string) (*digest, error) {
	fields := strings.Split(text, "$")
	switch fields[0] {
	case argon2id, argon2i, argon2d:
		return parseArgon2(fields)
	case "2a", "2b", "2y":
		return parseBcrypt(bcryptPlain, fields)
	case scryptPlain:
		return parsePHC(fields)
	case "pbkdf2":
		fields[0] = pbkdf2SHA1
		return parsePBKDF2(fields)
	case pbkdf2SHA1, pbkdf2SHA256, pbkdf2SHA512:
		return parsePBKDF2(fields)
	case scryptFirebase:
		return parseFirebase(fields)
	}
	return nil, errUnknown
}

func parseArgon2(fields []string) (*digest, error) {
	if len(fields) != 5 || fields[1] != "v=19" {
		return nil, errMalformed
	}
	return parsePHC([]string{fields[0], fields[2], fields[3], fields[4]})
}

// parsePHC reads algorithm, costs, salt and sum.
func parsePHC(fields []string) (*digest, error) {
	if len(fields) != 4 {
		return nil, errMalformed
	}
	d := &digest{alg: fields[0]}
	var err error
	if d.cost, err = parseCosts(formats[d.alg].keys, fields[1]); err != nil {
		return nil, err
	}
	return d, decodeInto(fields[2:], &d.salt, &d.sum)
}

func parsePBKDF2(fields []string) (*digest, error) {
	if len(fields) != 4 {
		return nil, errMalformed
	}
	// passlib writes the bare number of rounds, and a dot for plus.
	d := &digest{alg: fields[0]}
	salt, sum := strings.ReplaceAll(fields[2], ".", "+"), strings.ReplaceAll(fields[3], ".", "+")
	if err := decodeInto([]string{salt, sum}, &d.salt, &d.sum); err != nil {
		return nil, err
	}
	text := strings.TrimPrefix(fields[1], "i=")
	if !strings.Contains(text, ",") {
		text += ",l=" + strconv.Itoa(len(d.sum))
	}
	var err error
	d.cost, err = parseCosts(formats[d.alg].keys, "i="+text)
	return d, err
}

func parseBcrypt(alg string, fields []string) (*digest, error) {
	if len(fields) != 3 || len(fields[1]) != 2 || len(fields[2]) != bcryptSaltChars+bcryptSumChars {
		return nil, errMalformed
	}
	if strings.Trim(fields[2], bcryptAlphabet) != "" {
		return nil, errMalformed
	}
	cost, err := strconv.ParseUint(fields[1], 10, 7)
	if err != nil {
		return nil, errMalformed
	}
	return &digest{
		alg:  alg,
		cost: costs{int64(cost)},
		salt: []byte(fields[2][:bcryptSaltChars]),
		sum:  []byte(fields[2][bcryptSaltChars:]),
	}, nil
}

func parseFirebase(fields []string) (*digest, error) {
	if len(fields) != 6 {
		return nil, errMalformed
	}
	d := &digest{alg: scryptFirebase}
	text := fields[1]
	if !strings.Contains(text, ",p=") {
		text += ",p=1"
	}
	var err error
	if d.cost, err = parseCosts(formats[d.alg].keys, text); err != nil {
		return nil, err
	}
	err = decodeInto(fields[2:], &d.salt, &d.separator, &d.signer, &d.sum)
	if err == nil && len(d.signer) != len(d.sum) {
		err = errMalformed
	}
	return d, err
}

func parseDjango(name, rest string) (*digest, error) {
	fields := strings.Split(rest, "$")
	switch name {
	case "argon2":
		return parseArgon2Django(fields)
	case "bcrypt":
		return parseBcryptDjango(bcryptPlain, fields)
	case "bcrypt_sha256":
		return parseBcryptDjango(bcryptSHA256, fields)
	case "pbkdf2_sha256":
		return parsePBKDF2Django(pbkdf2SHA256, fields)
	case "pbkdf2_sha1":
		return parsePBKDF2Django(pbkdf2SHA1, fields)
	case "scrypt":
		return parseScryptDjango(fields)
	}
	return nil, errUnknown
}

func parseArgon2Django(fields []string) (*digest, error) {
	switch fields[0] {
	case argon2id, argon2i, argon2d:
		return parseArgon2(fields)
	}
	return nil, errMalformed
}

func parseBcryptDjango(alg string, fields []string) (*digest, error) {
	if fields[0] != "" || len(fields) < 2 {
		return nil, errMalformed
	}
	switch fields[1] {
	case "2a", "2b", "2y":
		return parseBcrypt(alg, fields[1:])
	}
	return nil, errMalformed
}

// parsePBKDF2Django reads rounds, salt and sum. Django's salt is text, not base 64.
func parsePBKDF2Django(alg string, fields []string) (*digest, error) {
	if len(fields) != 3 {
		return nil, errMalformed
	}
	d := &digest{alg: alg, salt: []byte(fields[1])}
	if err := decodeInto(fields[2:], &d.sum); err != nil {
		return nil, err
	}
	rounds, err := number(fields[0])
	d.cost = costs{rounds, int64(len(d.sum))}
	return d, err
}

// parseScryptDjango reads N, salt, r, p and sum.
func parseScryptDjango(fields []string) (*digest, error) {
	if len(fields) != 5 {
		return nil, errMalformed
	}
	n, err := number(fields[0])
	if err != nil || bits.OnesCount64(uint64(n)) != 1 { //nolint:gosec // never negative
		return nil, errMalformed
	}
	logN := bits.TrailingZeros64(uint64(n)) //nolint:gosec // never negative
	text := fmt.Sprintf("ln=%d,r=%s,p=%s", logN, fields[2], fields[3])
	d := &digest{alg: scryptPlain, salt: []byte(fields[1])}
	if d.cost, err = parseCosts(formats[d.alg].keys, text); err != nil {
		return nil, err
	}
	return d, decodeInto(fields[4:], &d.sum)
}

// parseLDAP reads {SSHA} and its kin (RFC 2307 with a salt): the sum, then the salt.
func parseLDAP(encoded string) (*digest, error) {
	scheme, text, found := strings.Cut(encoded[1:], "}")
	alg := strings.ToLower(scheme)
	switch {
	case !found:
		return nil, errMalformed
	case alg != saltedSHA1 && alg != saltedSHA256 && alg != saltedSHA512:
		return nil, errUnknown
	}
	d := &digest{alg: alg}
	var both []byte
	if err := decodeInto([]string{text}, &both); err != nil {
		return nil, err
	}
	size := formats[alg].sumLen
	if len(both) < size {
		return nil, errMalformed
	}
	d.sum, d.salt = both[:size], both[size:]
	return d, nil
}

// parseCosts reads "m=1,t=2,p=3" with exactly these keys in this order.
func parseCosts(keys []string, text string) (costs, error) {
	var c costs
	parts := strings.Split(text, ",")
	if len(keys) == 0 && text == "" {
		return c, nil
	}
	if len(parts) != len(keys) {
		return c, errMalformed
	}
	for i, part := range parts {
		value, found := strings.CutPrefix(part, keys[i]+"=")
		if !found {
			return c, errMalformed
		}
		var err error
		if c[i], err = number(value); err != nil {
			return c, err
		}
	}
	return c, nil
}

// number reads a positive decimal number without sign or leading zero.
// One that does not fit is costly rather than malformed.
func number(text string) (int64, error) {
	if text == "" || text[0] == '0' || strings.Trim(text, "0123456789") != "" {
		return 0, errMalformed
	}
	if len(text) > 10 {
		return 0, errCostly
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, errMalformed
	}
	return n, nil
}

// decodeInto decodes each text into its place. They are base 64 with or without
// padding; line breaks, which the standard decoder skips, and stray trailing bits
// are refused.
func decodeInto(texts []string, places ...*[]byte) error {
	for i, place := range places {
		text := texts[i]
		if strings.ContainsAny(text, "\r\n") {
			return errMalformed
		}
		encoding := base64.RawStdEncoding
		if strings.HasSuffix(text, "=") {
			encoding = base64.StdEncoding
		}
		decoded, err := encoding.Strict().DecodeString(text)
		if err != nil {
			return errMalformed
		}
		*place = decoded
	}
	return nil
}
