package token

import "time"

// Verdict says whether a link works, and if not, why.
type Verdict string

// The verdicts on a genuine link.
const (
	Works     Verdict = "works"
	Used      Verdict = "used"      // its token set a password
	Cancelled Verdict = "cancelled" // its token was revoked, or it was ended
	Expired   Verdict = "expired"   // its own time is over
)

// Judge is the whole life of a link. A token has no end of its own: it is used
// once, or revoked, and with it all its links; each link also has its own fixed
// end. The key that signed it may have been revoked after a leak.
func Judge(t Token, l Link, now time.Time) Verdict {
	switch {
	case !t.UsedAt.IsZero():
		return Used
	case !t.RevokedAt.IsZero(), !l.EndedAt.IsZero(), !l.KeyRevokedAt.IsZero():
		return Cancelled
	case !l.EndsAt.After(now):
		return Expired
	default:
		return Works
	}
}
