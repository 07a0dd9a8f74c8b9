package token

import (
	"errors"
	"time"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/secret"
)

// Verdicts on a text that is no link of ours; Judge gives the others.
const (
	Incomplete Verdict = Verdict(secret.Incomplete)
	Damaged    Verdict = Verdict(secret.Damaged)
)

// Unusable is the error for a link that does not work. To whoever holds a
// genuine link it tells everything about that link.
type Unusable struct {
	Verdict Verdict   // never Works
	At      time.Time // when it expired, was used or was cancelled
	Why     string    // in general terms, for a cancelled one
	Agent   string    // of the browser that used it
	ByAdmin bool      // it was made by an administrator
	Invited bool      // it is an invitation
	MayAsk  bool      // "Send a new link" is offered: a mailed link that expired, of a user who could ask now
}

func (u *Unusable) Error() string { return "this link does not work: " + string(u.Verdict) }

// Gone turns the absence of a genuine link's rows into the reason: it belonged
// to a user who was deleted. Other errors stay as they are.
func Gone(err error) error {
	if errors.Is(err, db.ErrNone) || fault.Is(err, fault.NotFound) {
		return &Unusable{Verdict: Cancelled, Why: "the account no longer exists"}
	}
	return err
}

// NoticeUsed is why a notice's link ended that has done its work.
const NoticeUsed = "used"

// JudgeNotice is Judge for the links that need no token: nil, or *Unusable.
func JudgeNotice(l Link, now time.Time) error {
	switch Judge(Token{}, l, now) {
	case Works:
		return nil
	case Expired:
		return &Unusable{Verdict: Expired, At: l.EndsAt}
	}
	if l.EndedWhy == NoticeUsed {
		return &Unusable{Verdict: Used, At: l.EndedAt}
	}
	return &Unusable{Verdict: Cancelled, At: l.EndedAt, Why: l.EndedWhy}
}
