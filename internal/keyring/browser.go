package keyring

import (
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/secret"
)

// Acquaintance is why we recognise a browser.
type Acquaintance string

// The acquaintances. Their texts are signed: add, never rename.
const (
	HasAsked    Acquaintance = "asked"  // asked for a reset of this address
	HasSignedIn Acquaintance = "device" // signed in as this address, or just reset its password
)

// browserName is the length of the random name in a browser's cookie.
const browserName = 22

// NewBrowser makes the cookie text of a browser: a random name, and a MAC over
// it, the address's canonical key and the environment.
func (r *Ring) NewBrowser(a Acquaintance, env id.Environment, emailKey string) string {
	name := secret.NewToken()[:browserName]
	return name + "." + secret.Sign(r.Cookie(secret.Browser), string(a), string(env), emailKey, name)
}

// KnownBrowser gives the name in a cookie text, or "" if it is not ours or was
// made for another address.
func (r *Ring) KnownBrowser(a Acquaintance, env id.Environment, emailKey, cookie string) string {
	if len(cookie) <= browserName+1 || cookie[browserName] != '.' ||
		!secret.Signed(r.Cookie(secret.Browser), cookie[browserName+1:], string(a), string(env), emailKey, cookie[:browserName]) {
		return ""
	}
	return cookie[:browserName]
}
