package usermanager

import (
	"context"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/cases"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/diagnosis"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/secret"
	"github.com/sparekey/sparekey/internal/session"
	"github.com/sparekey/sparekey/internal/token"
	"github.com/sparekey/sparekey/internal/user"
)

// Page is one page of the list.
type Page struct {
	Rows      []Row
	Next      *user.Place   // where the next page begins; nil at the end
	Approvals []Approval    // for a Client Admin on the first page: questions to answer
	Asking    *Asking       // the one whose case number was searched for
	Unmatched UnmatchedPage // for a Client Admin on the first page, without words to search or where nobody is found: the newest few that fit the words
}

// Row is one user in the list.
type Row struct {
	User    user.User
	Self    bool            // the actor's own row
	Live    bool            // has a live token
	Options []access.Action // what the actor may do, in the order of the dropdown
	Hidden  bool            // the actor may not see how mail to the user fares
	Mail    Mail
	// Diagnosis says how the newest recovery stands; its zero value: there is none.
	Diagnosis diagnosis.Diagnosis
	Times     []Named    // in the sentence of Diagnosis, in their order, and perhaps others after them
	Case      cases.Case // zero if the user needs no help
	// Suppressed: nothing is mailed to the address until somebody allows it.
	Suppressed bool
}

// Mail is how the newest mail about a user stands. Its zero value says that
// there never was one.
type Mail struct {
	State     outbox.State `db:"state"`
	MadeAt    time.Time    `db:"made_at"`
	SettledAt time.Time    `db:"settled_at"`
	HasLink   bool         `db:"has_link"`   // to set a password with; openings are recorded for these alone
	OpenedAt  time.Time    `db:"opened_at"`  // its link, first by a person
	ScannedAt time.Time    `db:"scanned_at"` // its link, first by a scanner
}

// The sizes of a page.
const (
	pageSize   = 50
	mostOfPage = 200
)

// List gives a page of users in the order of their names; f.Limit 0 stands for 50.
func (m *UserManager) List(ctx context.Context, actor access.Actor, env environment.Environment, f user.Filter) (Page, error) {
	if err := may(actor, env, access.OpenUserManager); err != nil {
		return Page{}, err
	}
	if f.Limit <= 0 {
		f.Limit = pageSize
	}
	if env.IsOperators() {
		f.Role = access.ServerOperator // the others are canaries of the server itself
	}
	size := min(f.Limit, mostOfPage)
	f.Limit = size + 1 // one more tells whether there is a next page
	var p Page
	err := m.DB.View(ctx, func(tx *db.Tx) error {
		p = Page{}
		if number := secret.ReadCaseNumber(f.Words); number != "" {
			found, err := m.byCase(tx, actor, env, number)
			if err != nil || found.Asking != nil {
				p = found
				return err
			}
		}
		users, err := user.List(tx, env.ID, f)
		if err != nil {
			return err
		}
		if len(users) > size {
			users = users[:size]
			place := users[size-1].Place()
			p.Next = &place
		}
		if p.Rows, err = m.rows(tx, actor, env, users); err != nil {
			return err
		}
		if f.After == (user.Place{}) && access.May(actor, env.ID, access.SeeUnmatched) {
			if p.Approvals, err = approvals(tx, actor, env); err != nil {
				return err
			}
			if strings.TrimSpace(f.Words) == "" || len(p.Rows) == 0 {
				p.Unmatched, err = unmatched(tx, actor, env.ID, f.Words, UnmatchedPlace{}, recentUnmatched)
			}
		}
		return err
	})
	return p, err
}

// rows adds to users what a row shows, in a few statements for the whole page.
func (m *UserManager) rows(tx *db.Tx, actor access.Actor, env environment.Environment, users []user.User) ([]Row, error) {
	if len(users) == 0 {
		return nil, nil
	}
	ids := make([]id.User, len(users))
	for i, u := range users {
		ids[i] = u.ID
	}
	live, err := token.LiveAmong(tx, env.ID, ids)
	if err != nil {
		return nil, err
	}
	signedIn, err := session.LiveAmong(tx, env.ID, ids)
	if err != nil {
		return nil, err
	}
	mails, err := newestMails(tx, env.ID, ids)
	if err != nil {
		return nil, err
	}
	told, err := m.diagnose(tx, env, users)
	if err != nil {
		return nil, err
	}
	stuck, err := cases.Among(tx, env.ID, ids)
	if err != nil {
		return nil, err
	}
	caseOf := map[id.User]cases.Case{}
	for _, c := range stuck {
		caseOf[c.User] = c
	}
	all := make([]Row, len(users))
	for i, u := range users {
		all[i] = Row{User: u, Self: u.ID == actor.User, Live: live[u.ID], Options: options(actor, env, standing{u, live[u.ID], signedIn[u.ID]})}
		if !access.MayOn(actor, env.ID, access.SeeTimeline, u.Target()) {
			all[i].Hidden = true
			continue // a help desk finds everybody, and sees the mail of members only
		}
		all[i].Mail, all[i].Case = mails[u.ID], caseOf[u.ID]
		all[i].Diagnosis, all[i].Times, all[i].Suppressed = told[u.ID].Diagnosis, told[u.ID].times, told[u.ID].suppressed
	}
	return all, nil
}

func newestMails(tx *db.Tx, env id.Environment, users []id.User) (map[id.User]Mail, error) {
	type mailOf struct {
		User id.User `db:"user_id"`
		Mail
	}
	in, args := db.Among([]any{env}, users)
	found, err := db.All[mailOf](tx, `SELECT m.user_id, m.state, m.made_at, m.settled_at, COALESCE(l.token_id, '') <> '' AS has_link, l.opened_at, l.scanned_at
		FROM users u
		JOIN messages m ON m.environment_id = u.environment_id AND m.id = (
			SELECT x.id FROM messages x WHERE x.environment_id = u.environment_id AND x.user_id = u.id ORDER BY x.made_at DESC, x.id DESC LIMIT 1)
		LEFT JOIN links l ON l.environment_id = m.environment_id AND l.id = m.link_id
		WHERE u.environment_id = $1 AND u.id IN (`+in+")", args...)
	mails := make(map[id.User]Mail, len(found))
	for _, f := range found {
		mails[f.User] = f.Mail
	}
	return mails, err
}
