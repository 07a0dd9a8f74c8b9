package password

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // imported hashes only
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
	"strings"

	imported "github.com/go-crypt/x/argon2"
	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/scrypt"
)

// The algorithms. The names are those of the PHC form, as far as it has one.
const (
	argon2id       = "argon2id"
	argon2i        = "argon2i"
	argon2d        = "argon2d"
	bcryptPlain    = "bcrypt"
	bcryptSHA256   = "bcrypt-sha256"
	scryptPlain    = "scrypt"
	scryptFirebase = "firebase-scrypt"
	pbkdf2SHA1     = "pbkdf2-sha1"
	pbkdf2SHA256   = "pbkdf2-sha256"
	pbkdf2SHA512   = "pbkdf2-sha512"
	saltedSHA1     = "ssha"
	saltedSHA256   = "ssha256"
	saltedSHA512   = "ssha512"
)

// costs holds the cost parameters of a digest in the order of its format's keys.
type costs [3]int64

// format is what the algorithms differ in.
type format struct {
	keys    []string // names of the cost parameters
	check   func(c costs, sumLen int) error
	minSalt int // in bytes
	minSum  int // in bytes; shorter ones would let strangers in by chance
	sumLen  int // of a decoy
	matches func(d *digest, plain []byte) bool
}

var formats = map[string]format{
	argon2id:       {[]string{"m", "t", "p"}, checkArgon2, 8, 16, sumBytes, matchArgon2},
	argon2i:        {[]string{"m", "t", "p"}, checkArgon2, 8, 16, sumBytes, matchArgon2},
	argon2d:        {[]string{"m", "t", "p"}, checkArgon2, 8, 16, sumBytes, matchArgon2},
	bcryptPlain:    {[]string{"cost"}, checkBcrypt, bcryptSaltChars, bcryptSumChars, bcryptSumChars, matchBcrypt},
	bcryptSHA256:   {[]string{"cost"}, checkBcrypt, bcryptSaltChars, bcryptSumChars, bcryptSumChars, matchBcryptSHA256},
	scryptPlain:    {[]string{"ln", "r", "p"}, checkScrypt, 4, 16, 64, matchScrypt},
	scryptFirebase: {[]string{"ln", "r", "p"}, checkScrypt, 4, 32, 64, matchFirebase},
	pbkdf2SHA1:     {[]string{"i", "l"}, checkPBKDF2(sha1.Size), 4, 16, 0, matchPBKDF2(sha1.New)},
	pbkdf2SHA256:   {[]string{"i", "l"}, checkPBKDF2(sha256.Size), 4, 16, 0, matchPBKDF2(sha256.New)},
	pbkdf2SHA512:   {[]string{"i", "l"}, checkPBKDF2(sha512.Size), 4, 16, 0, matchPBKDF2(sha512.New)},
	saltedSHA1:     {nil, checkNothing, 4, sha1.Size, sha1.Size, matchSalted(sha1.New)},
	saltedSHA256:   {nil, checkNothing, 4, sha256.Size, sha256.Size, matchSalted(sha256.New)},
	saltedSHA512:   {nil, checkNothing, 4, sha512.Size, sha512.Size, matchSalted(sha512.New)},
}

// digest is one stored hash, taken apart. Only parse and decoy make one to be
// matched, so its cost has been checked.
type digest struct {
	alg       string
	cost      costs
	salt, sum []byte // for bcrypt in its own base 64
	separator []byte // Firebase only
	signer    []byte // Firebase only
}

func (d *digest) shape() string { return shapeOf(d.alg, d.cost) }

func shapeOf(alg string, c costs) string {
	keys := formats[alg].keys
	if len(keys) == 0 {
		return alg
	}
	return alg + "$" + costText(keys, c)
}

func costText(keys []string, c costs) string {
	parts := make([]string, len(keys))
	for i, key := range keys {
		parts[i] = key + "=" + strconv.FormatInt(c[i], 10)
	}
	return strings.Join(parts, ",")
}

// decoy makes a digest of this shape with a random salt and sum.
func decoy(shape string) (*digest, error) {
	alg, text, _ := strings.Cut(shape, "$")
	f, known := formats[alg]
	if !known {
		return nil, errMalformed
	}
	d := &digest{alg: alg}
	var err error
	if d.cost, err = parseCosts(f.keys, text); err != nil {
		return nil, err
	}
	size := f.sumLen
	if size == 0 {
		size = int(min(d.cost[1], maxSum)) // PBKDF2 carries its length as a cost
	}
	d.salt, d.sum = random(saltBytes), random(size)
	switch alg {
	case bcryptPlain, bcryptSHA256:
		d.salt = []byte(bcryptBase64.EncodeToString(d.salt))
		d.sum = []byte(bcryptBase64.EncodeToString(random(bcryptSumBytes)))
	case scryptFirebase:
		d.separator, d.signer = []byte{7}, random(size)
	}
	return d, d.check()
}

// encode gives the canonical text, which parse takes.
func (d *digest) encode() string {
	b64 := base64.RawStdEncoding.EncodeToString
	cost := costText(formats[d.alg].keys, d.cost)
	switch d.alg {
	case argon2id, argon2i, argon2d:
		return fmt.Sprintf("$%s$v=%d$%s$%s$%s", d.alg, argon2.Version, cost, b64(d.salt), b64(d.sum))
	case bcryptPlain:
		return fmt.Sprintf("$2b$%02d$%s%s", d.cost[0], d.salt, d.sum)
	case bcryptSHA256:
		return fmt.Sprintf("bcrypt_sha256$$2b$%02d$%s%s", d.cost[0], d.salt, d.sum)
	case scryptFirebase:
		return fmt.Sprintf("$%s$%s$%s$%s$%s$%s", d.alg, cost, b64(d.salt), b64(d.separator), b64(d.signer), b64(d.sum))
	case saltedSHA1, saltedSHA256, saltedSHA512:
		salted := append(append([]byte{}, d.sum...), d.salt...)
		return "{" + strings.ToUpper(d.alg) + "}" + base64.StdEncoding.EncodeToString(salted)
	default:
		return fmt.Sprintf("$%s$%s$%s$%s", d.alg, cost, b64(d.salt), b64(d.sum))
	}
}

// matchArgon2 is for imported digests; those of today's cost are the Hasher's.
func matchArgon2(d *digest, plain []byte) bool {
	//nolint:gosec // parse keeps all of them small
	m, t, p, n := uint32(d.cost[0]), uint32(d.cost[1]), uint8(d.cost[2]), uint32(len(d.sum))
	var sum []byte
	switch d.alg {
	case argon2i:
		sum = argon2.Key(plain, d.salt, t, m, p, n)
	case argon2d:
		sum = imported.DKey(plain, d.salt, t, m, uint32(p), n)
	default:
		sum = argon2.IDKey(plain, d.salt, t, m, p, n)
	}
	return equal(sum, d.sum)
}

const (
	bcryptMaxPlain  = 72 // bytes; bcrypt does not look at the rest
	bcryptSumBytes  = 23
	bcryptSaltChars = 22
	bcryptSumChars  = 31
)

const bcryptAlphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

var bcryptBase64 = base64.NewEncoding(bcryptAlphabet).WithPadding(base64.NoPadding)

// matchBcrypt does the whole work for a longer password as well, then refuses it:
// it would have verified by its first 72 bytes alone.
func matchBcrypt(d *digest, plain []byte) bool {
	text := fmt.Sprintf("$2b$%02d$%s%s", d.cost[0], d.salt, d.sum)
	same := bcrypt.CompareHashAndPassword([]byte(text), plain) == nil
	return same && len(plain) <= bcryptMaxPlain
}

// matchBcryptSHA256 is Django's BCryptSHA256PasswordHasher: bcrypt over the
// SHA-256 in hexadecimal, which has 64 bytes for every password.
func matchBcryptSHA256(d *digest, plain []byte) bool {
	sum := sha256.Sum256(plain)
	return matchBcrypt(d, []byte(hex.EncodeToString(sum[:])))
}

func scryptSum(d *digest, plain, salt []byte, size int) []byte {
	sum, err := scrypt.Key(plain, salt, 1<<d.cost[0], int(d.cost[1]), int(d.cost[2]), size)
	if err != nil {
		return nil // the cost has been checked; nothing matches nil
	}
	return sum
}

func matchScrypt(d *digest, plain []byte) bool {
	return equal(scryptSum(d, plain, d.salt, len(d.sum)), d.sum)
}

// matchFirebase encrypts the project's signer key with a key made from the
// password; the stored sum is the cipher text (AES-256 in counter mode).
func matchFirebase(d *digest, plain []byte) bool {
	salt := append(append([]byte{}, d.salt...), d.separator...)
	block, err := aes.NewCipher(scryptSum(d, plain, salt, 32))
	if err != nil {
		return false
	}
	sum := make([]byte, len(d.signer))
	cipher.NewCTR(block, make([]byte, aes.BlockSize)).XORKeyStream(sum, d.signer)
	return equal(sum, d.sum)
}

func matchPBKDF2(h func() hash.Hash) func(*digest, []byte) bool {
	return func(d *digest, plain []byte) bool {
		sum, err := pbkdf2.Key(h, string(plain), d.salt, int(d.cost[0]), len(d.sum))
		return err == nil && equal(sum, d.sum)
	}
}

func matchSalted(h func() hash.Hash) func(*digest, []byte) bool {
	return func(d *digest, plain []byte) bool {
		state := h()
		state.Write(plain)
		state.Write(d.salt)
		return equal(state.Sum(nil), d.sum)
	}
}

func equal(a, b []byte) bool {
	return len(a) > 0 && subtle.ConstantTimeCompare(a, b) == 1
}
