// Package token holds reset tokens and their links.
//
// A token is the right of one user to set a new password without the old one;
// its links are ways to exercise it. Whether a link works is decided in life.go
// and nowhere else. Steps that make, end or use a token expect that the caller
// has locked the user's row (user.Lock).
package token

import (
	"errors"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/secret"
)

// Token is the right to set a new password.
type Token struct {
	ID         id.Token       `db:"id"`
	User       id.User        `db:"user_id"`
	Purpose    secret.Purpose `db:"purpose"` // Reset or Invite
	MadeAt     time.Time      `db:"made_at"`
	UsedAt     time.Time      `db:"used_at"`
	UsedAgent  string         `db:"used_agent"`
	Operation  string         `db:"operation"` // of the POST that used it
	RevokedAt  time.Time      `db:"revoked_at"`
	RevokedWhy string         `db:"revoked_why"`
	Fresh      bool           // just made by Open: it has no links yet
}

// Why a token was revoked, or a link ended; people read these.
const (
	PasswordSet    = "a password was set"
	EmailChanged   = "the e-mail address changed"
	RoleChanged    = "the role changed"
	Deactivated    = "the account was deactivated"
	NotMe          = "somebody said “This wasn't me”"
	ByAdmin        = "an administrator cancelled it"
	LaterChange    = "replaced by a later change" // of the address to confirm
	AdminLostRight = "the administrator who made it may no longer do so"
)

// Channel is how a link travels.
type Channel string

// The channels of a link.
const (
	Mail      Channel = "mail"       // the first mail of a token
	MailAgain Channel = "mail-again" // a further one
	Unsent    Channel = "unsent"     // made past the limit of mails: lives for an admin to find
	Admin     Channel = "admin"      // shown to an admin
	ByCode    Channel = "code"       // a right code was typed
	Notice    Channel = "notice"     // "This wasn't me", or an address to confirm
)

// CodeLife is how long the link lives that a right code makes.
const CodeLife = 15 * time.Minute

// Link is a way to exercise a token, or one of the two links that need none.
type Link struct {
	ID           string         `db:"id"` // of secret.LinkID; never shown
	Purpose      secret.Purpose `db:"purpose"`
	Token        id.Token       `db:"token_id"`
	User         id.User        `db:"user_id"`
	Channel      Channel        `db:"channel"`
	MadeBy       string         `db:"made_by"` // the ID of an access.Actor; "" for a mail asked for from outside
	MadeByName   string         `db:"made_by_name"`
	KeyID        int            `db:"key_id"`
	MadeAt       time.Time      `db:"made_at"`
	EndsAt       time.Time      `db:"ends_at"`
	EndedAt      time.Time      `db:"ended_at"`
	EndedWhy     string         `db:"ended_why"`
	Detail       string         `db:"detail"`     // what the link is about, for confirm and not-me
	OpenedAt     time.Time      `db:"opened_at"`  // first by a person
	ScannedAt    time.Time      `db:"scanned_at"` // first by a scanner
	Opens        int            `db:"opens"`
	KeyRevokedAt time.Time      `db:"key_revoked_at"`
}

// LinkID gives the id as the signer wants it.
func (l Link) LinkID() (secret.LinkID, error) { return secret.ParseLinkID(l.ID) }

// Travelling says which links carry the right to set a password, whatever way
// they go; with one that works the user "has a password reset token".
func (l Link) Travelling() bool { return l.Channel != Notice }

const tokenColumns = "id, user_id, purpose, made_at, used_at, used_agent, operation, revoked_at, revoked_why"

const linkColumns = `l.id, l.purpose, l.token_id, l.user_id, l.channel, l.made_by, l.made_by_name, l.key_id, l.made_at, l.ends_at,
	l.ended_at, l.ended_why, l.detail, l.opened_at, l.scanned_at, l.opens, k.revoked_at AS key_revoked_at`

const fromLinks = " FROM links l LEFT JOIN signing_keys k ON k.id = l.key_id"

// Open gives the user's open token of this purpose, making it if there is none.
// An open token of the other purpose is revoked first.
func Open(tx *db.Tx, env id.Environment, user id.User, purpose secret.Purpose) (Token, error) {
	t, err := open(tx, env, user)
	switch {
	case err == nil && t.Purpose == purpose:
		return t, nil
	case err == nil:
		if _, err := Revoke(tx, env, user, "replaced by another kind of link"); err != nil {
			return t, err
		}
	case !errors.Is(err, db.ErrNone):
		return t, err
	}
	t = Token{ID: id.New[id.Token](), User: user, Purpose: purpose, MadeAt: tx.Now(), Fresh: true}
	_, err = tx.Exec("INSERT INTO tokens (environment_id, id, user_id, purpose, made_at) VALUES ($1, $2, $3, $4, $5)",
		env, t.ID, user, purpose, t.MadeAt)
	return t, err
}

func open(tx *db.Tx, env id.Environment, user id.User) (Token, error) {
	return db.One[Token](tx, "SELECT "+tokenColumns+` FROM tokens
		WHERE environment_id = $1 AND user_id = $2 AND used_at IS NULL AND revoked_at IS NULL`, env, user)
}

// NewLink says what link to make.
type NewLink struct {
	ID      string // as a secret.LinkID prints; "" for a new one
	Purpose secret.Purpose
	Token   id.Token // none for Notice
	User    id.User
	Channel Channel
	By      access.Actor // who made it; zero for a mail asked for from outside
	EndsAt  time.Time
	Detail  string
}

// AddLink makes a link, signed by the key in force. Its text is made from the
// row when it is needed.
func AddLink(tx *db.Tx, env id.Environment, n NewLink) (Link, error) {
	l := Link{
		ID: n.ID, Purpose: n.Purpose, Token: n.Token, User: n.User, Channel: n.Channel,
		MadeBy: n.By.ID(), MadeByName: n.By.Name, MadeAt: tx.Now(), EndsAt: n.EndsAt, Detail: n.Detail,
	}
	if l.ID == "" {
		l.ID = secret.NewLinkID().String()
	}
	var err error
	l.KeyID, err = db.One[int](tx, `INSERT INTO links (environment_id, id, purpose, token_id, user_id, channel, made_by, made_by_name, key_id, made_at, ends_at, detail)
		SELECT $1, $2, $3, $4, $5, $6, $7, $8, max(k.id), $9, $10, $11 FROM signing_keys k WHERE k.retired_at IS NULL AND k.revoked_at IS NULL
		HAVING max(k.id) IS NOT NULL RETURNING key_id`,
		env, l.ID, l.Purpose, l.Token, l.User, l.Channel, l.MadeBy, l.MadeByName, l.MadeAt, l.EndsAt, l.Detail)
	if errors.Is(err, db.ErrNone) {
		return l, fault.New(fault.Unavailable, "There is no key to sign links with. An operator makes one with: sparekey keys rotate")
	}
	return l, err
}

// FindLink gives a link by its id; db.ErrNone if there is none.
func FindLink(tx *db.Tx, env id.Environment, link string) (Link, error) {
	return db.One[Link](tx, "SELECT "+linkColumns+fromLinks+" WHERE l.environment_id = $1 AND l.id = $2", env, link)
}

// Find gives a link of a token together with the token.
func Find(tx *db.Tx, env id.Environment, link string) (Token, Link, error) {
	l, err := FindLink(tx, env, link)
	if err != nil {
		return Token{}, l, err
	}
	t, err := ByID(tx, env, l.Token)
	return t, l, err
}

// ByID gives a token; db.ErrNone if there is none.
func ByID(tx *db.Tx, env id.Environment, token id.Token) (Token, error) {
	return db.One[Token](tx, "SELECT "+tokenColumns+" FROM tokens WHERE environment_id = $1 AND id = $2", env, token)
}

// links gives the links of a token, newest first.
func links(tx *db.Tx, env id.Environment, token id.Token) ([]Link, error) {
	return db.All[Link](tx, "SELECT "+linkColumns+fromLinks+" WHERE l.environment_id = $1 AND l.token_id = $2 ORDER BY l.made_at DESC, l.id DESC",
		env, token)
}

// WasMailed tells whether a link of the token has been mailed before.
func WasMailed(tx *db.Tx, env id.Environment, token id.Token) (bool, error) {
	// 'mail' stands in the text: links_by_admin speaks of a channel too, and SQLite
	// would compile the statement anew for each one that is bound.
	_, err := db.One[string](tx, "SELECT id FROM links WHERE environment_id = $1 AND token_id = $2 AND channel = 'mail' LIMIT 1", env, token)
	if errors.Is(err, db.ErrNone) {
		return false, nil
	}
	return err == nil, err
}

// LiveToken is a user's open token with the links that work now.
type LiveToken struct {
	Token
	Links []Link // newest first
}

// Expires is when the last of the links ends.
func (t LiveToken) Expires() time.Time {
	var last time.Time
	for _, l := range t.Links {
		if l.EndsAt.After(last) {
			last = l.EndsAt
		}
	}
	return last
}

// Live gives the user's token if it is live: neither used nor revoked, with at
// least one link that works. ok tells whether there is one.
func Live(tx *db.Tx, env id.Environment, user id.User) (t LiveToken, ok bool, err error) {
	t.Token, err = open(tx, env, user)
	if errors.Is(err, db.ErrNone) {
		return t, false, nil
	}
	if err != nil {
		return t, false, err
	}
	all, err := links(tx, env, t.ID)
	for _, l := range all {
		if l.Travelling() && Judge(t.Token, l, tx.Now()) == Works {
			t.Links = append(t.Links, l)
		}
	}
	return t, len(t.Links) > 0, err
}

// Newest gives the user's newest token, for telling why none is live; db.ErrNone
// if there never was one.
func Newest(tx *db.Tx, env id.Environment, user id.User) (Token, error) {
	return db.One[Token](tx, "SELECT "+tokenColumns+` FROM tokens WHERE environment_id = $1 AND user_id = $2
		ORDER BY made_at DESC, id DESC LIMIT 1`, env, user)
}

// Use uses a token, if it is still open: of two that try, one gets true.
func Use(tx *db.Tx, env id.Environment, token id.Token, operation, agent string) (bool, error) {
	n, err := tx.Exec(`UPDATE tokens SET used_at = $3, operation = $4, used_agent = $5
		WHERE environment_id = $1 AND id = $2 AND used_at IS NULL AND revoked_at IS NULL`, env, token, tx.Now(), operation, agent)
	return n == 1, err
}

// Revoke revokes the user's open token, if there is one, and tells whether there was.
func Revoke(tx *db.Tx, env id.Environment, user id.User, why string) (bool, error) {
	n, err := tx.Exec(`UPDATE tokens SET revoked_at = $3, revoked_why = $4
		WHERE environment_id = $1 AND user_id = $2 AND used_at IS NULL AND revoked_at IS NULL`, env, user, tx.Now(), why)
	return n > 0, err
}

// EndLink ends one link of a user and tells whether it worked until now.
func EndLink(tx *db.Tx, env id.Environment, user id.User, link, why string) (bool, error) {
	n, err := tx.Exec(`UPDATE links SET ended_at = $4, ended_why = $5
		WHERE environment_id = $1 AND user_id = $2 AND id = $3 AND ended_at IS NULL AND ends_at > $4`, env, user, link, tx.Now(), why)
	return n > 0, err
}

// EndLinksMadeBy ends the links an admin made, who may no longer make any.
func EndLinksMadeBy(tx *db.Tx, env id.Environment, admin id.User) error {
	_, err := tx.Exec(`UPDATE links SET ended_at = $3, ended_why = $4
		WHERE environment_id = $1 AND made_by = $2 AND channel = 'admin' AND ended_at IS NULL`, env, string(admin), tx.Now(), AdminLostRight)
	return err
}

// EndNotices ends the links of a purpose that a user was sent as notices.
func EndNotices(tx *db.Tx, env id.Environment, user id.User, purpose secret.Purpose, why string) error {
	_, err := tx.Exec(`UPDATE links SET ended_at = $4, ended_why = $5
		WHERE environment_id = $1 AND user_id = $2 AND purpose = $3 AND channel = $6 AND ended_at IS NULL`, env, user, purpose, tx.Now(), why, Notice)
	return err
}

// EndNoticesSince ends the links of a purpose that a user was sent as notices at
// a time or later.
func EndNoticesSince(tx *db.Tx, env id.Environment, user id.User, purpose secret.Purpose, since time.Time, why string) error {
	_, err := tx.Exec(`UPDATE links SET ended_at = $4, ended_why = $5
		WHERE environment_id = $1 AND user_id = $2 AND purpose = $3 AND channel = $6 AND ended_at IS NULL AND made_at >= $7`,
		env, user, purpose, tx.Now(), why, Notice, since)
	return err
}

// RecordOpen writes down that a link was opened, by a person or a scanner, and
// tells whether it was the first time by such a one.
func RecordOpen(tx *db.Tx, env id.Environment, link string, scanner bool) (first bool, err error) {
	column := "opened_at"
	if scanner {
		column = "scanned_at"
	}
	n, err := tx.Exec("UPDATE links SET "+column+" = $3, opens = opens + 1 WHERE environment_id = $1 AND id = $2 AND "+column+" IS NULL", env, link, tx.Now())
	if err != nil || n == 1 {
		return n == 1, err
	}
	_, err = tx.Exec("UPDATE links SET opens = opens + 1 WHERE environment_id = $1 AND id = $2", env, link)
	return false, err
}
