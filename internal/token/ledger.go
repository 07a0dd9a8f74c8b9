package token

import (
	"cmp"
	"time"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/secret"
)

// Ref names a link on a page without showing its id.
func Ref(l Link) string { return secret.Hash(l.ID)[:16] }

// OfUser gives the newest tokens of a user, newest first.
func OfUser(tx *db.Tx, env id.Environment, user id.User, limit int) ([]Token, error) {
	return db.All[Token](tx, "SELECT "+tokenColumns+` FROM tokens WHERE environment_id = $1 AND user_id = $2
		ORDER BY made_at DESC, id DESC LIMIT $3`, env, user, limit)
}

// UsedSince gives the newest token of a user if it was used after a time;
// db.ErrNone otherwise.
func UsedSince(tx *db.Tx, env id.Environment, user id.User, after time.Time) (Token, error) {
	t, err := db.One[Token](tx, "SELECT "+tokenColumns+` FROM tokens WHERE environment_id = $1 AND user_id = $2 AND used_at IS NOT NULL
		ORDER BY made_at DESC, id DESC LIMIT 1`, env, user)
	if err == nil && !t.UsedAt.After(after) {
		err = db.ErrNone
	}
	return t, err
}

// ExpiredAt tells when the last link of a token expired; zero if something else
// ended it, or nothing yet.
func ExpiredAt(tx *db.Tx, env id.Environment, t Token) (time.Time, error) {
	all, err := links(tx, env, t.ID)
	var last time.Time
	verdict := Works
	for _, l := range all {
		why, until := Judge(t, l, tx.Now()), l.EndsAt
		if why == Cancelled {
			until = cmp.Or(l.EndedAt, l.KeyRevokedAt)
		}
		if l.Travelling() && until.After(last) {
			last, verdict = until, why
		}
	}
	if verdict != Expired {
		return time.Time{}, err
	}
	return last, err
}

// NewestAmong gives the newest token of each of these users.
func NewestAmong(tx *db.Tx, env id.Environment, users []id.User) (map[id.User]Token, error) {
	in, args := db.Among([]any{env}, users)
	found, err := db.All[Token](tx, "SELECT "+tokenColumns+` FROM (
		SELECT `+tokenColumns+`, row_number() OVER (PARTITION BY user_id ORDER BY made_at DESC, id DESC) AS place
		FROM tokens WHERE environment_id = $1 AND user_id IN (`+in+")) AS newest WHERE place = 1", args...)
	tokens := make(map[id.User]Token, len(found))
	for _, t := range found {
		tokens[t.User] = t
	}
	return tokens, err
}

// LinksOfUser gives the newest links of a user's tokens, newest first; those of
// notices are left out.
func LinksOfUser(tx *db.Tx, env id.Environment, user id.User, limit int) ([]Link, error) {
	return db.All[Link](tx, "SELECT "+linkColumns+fromLinks+` WHERE l.environment_id = $1 AND l.user_id = $2 AND l.token_id <> '' AND l.channel <> $3
		ORDER BY l.made_at DESC, l.id DESC LIMIT $4`, env, user, Notice, limit)
}

// LiveAmong tells which of some users, a page of them, have a live token.
func LiveAmong(tx *db.Tx, env id.Environment, users []id.User) (map[id.User]bool, error) {
	live := map[id.User]bool{}
	in, args := db.Among([]any{env}, users)
	// The tokens are open, so a zero Token stands for each of them.
	links, err := db.All[Link](tx, "SELECT "+linkColumns+` FROM tokens t
		JOIN links l ON l.environment_id = t.environment_id AND l.token_id = t.id LEFT JOIN signing_keys k ON k.id = l.key_id
		WHERE t.environment_id = $1 AND t.used_at IS NULL AND t.revoked_at IS NULL AND t.user_id IN (`+in+")", args...)
	for _, l := range links {
		if l.Travelling() && Judge(Token{}, l, tx.Now()) == Works {
			live[l.User] = true
		}
	}
	return live, err
}
