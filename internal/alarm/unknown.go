package alarm

import (
	"regexp"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/secret"
)

// UnknownReply is an answer of mail servers that no rule of diagnosis knows.
type UnknownReply struct {
	Fingerprint string    `db:"fingerprint"`
	Reply       string    `db:"reply"`
	Stage       string    `db:"stage"`
	Domain      string    `db:"domain"` // of the newest recipient
	Seen        int       `db:"seen"`
	FirstAt     time.Time `db:"first_at"`
	LastAt      time.Time `db:"last_at"`
}

// The bounds of what strangers' servers can make us keep.
const (
	mostUnknown = 300
	longReply   = 1000
)

// varying is what differs from mail to mail: queue ids, addresses, numbers of
// three digits or more behind the codes.
var varying = regexp.MustCompile(`[0-9a-z-]*[0-9][0-9a-z-]{5,}|\d+\.\d+\.\d+\.\d+|\d{3,}`)

func fingerprint(reply string) string {
	return secret.Hash(varying.ReplaceAllString(strings.ToLower(reply), "#"))[:22]
}

// collect counts an answer. Where there are 300 the one not seen for longest goes.
func collect(tx *db.Tx, a Answer) error {
	reply := strings.TrimSpace(clip(a.Reply, longReply))
	if reply == "" {
		return nil
	}
	key := fingerprint(reply)
	n, err := tx.Exec(`UPDATE unknown_replies SET seen = seen + 1, last_at = $3, domain = $4, reply = $5, stage = $6
		WHERE environment_id = $1 AND fingerprint = $2`, id.OperatorEnvironment, key, tx.Now(), clip(a.Domain, longAbout), reply, a.Stage)
	if err != nil || n > 0 {
		return err
	}
	_, err = tx.Exec(`DELETE FROM unknown_replies WHERE environment_id = $1 AND fingerprint IN (
		SELECT fingerprint FROM unknown_replies WHERE environment_id = $1 ORDER BY last_at DESC LIMIT 1000 OFFSET $2)`, id.OperatorEnvironment, mostUnknown-1)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO unknown_replies (environment_id, fingerprint, reply, stage, domain, seen, first_at, last_at)
		VALUES ($1, $2, $3, $4, $5, 1, $6, $6)
		ON CONFLICT (environment_id, fingerprint) DO UPDATE SET seen = unknown_replies.seen + 1, last_at = excluded.last_at`,
		id.OperatorEnvironment, key, reply, a.Stage, clip(a.Domain, longAbout), tx.Now())
	return err
}

// UnknownReplies gives the collected answers, the most frequent first.
func UnknownReplies(tx *db.Tx) ([]UnknownReply, error) {
	return db.All[UnknownReply](tx, `SELECT fingerprint, reply, stage, domain, seen, first_at, last_at FROM unknown_replies
		WHERE environment_id = $1 ORDER BY seen DESC, last_at DESC`, id.OperatorEnvironment)
}

// ForgetUnknown takes an answer out of the collection.
func ForgetUnknown(tx *db.Tx, fingerprint string) error {
	_, err := tx.Exec("DELETE FROM unknown_replies WHERE environment_id = $1 AND fingerprint = $2", id.OperatorEnvironment, fingerprint)
	return err
}
