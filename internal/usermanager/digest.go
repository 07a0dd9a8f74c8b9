package usermanager

import (
	"context"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/cases"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/notice"
	"github.com/sparekey/sparekey/internal/throttle"
	"github.com/sparekey/sparekey/internal/user"
)

// What a digest names, whom it goes to, and how often.
const (
	digestNames  = 20
	digestAdmins = 50
	digestEvery  = 24 * time.Hour
)

// Digest mails the Client Admins of an environment who needs help, if its policy
// says so, somebody does and none went out in the last day. Several nodes may
// ask at once. Only the server itself calls it.
func (m *UserManager) Digest(ctx context.Context, env environment.Environment) error {
	if !env.Policy.HelpDigest || env.Suspended() {
		return nil
	}
	return m.DB.Update(ctx, func(tx *db.Tx) error {
		stuck, err := cases.Longest(tx, env.ID, false, countedCases)
		if err != nil || len(stuck) == 0 {
			return err
		}
		sent, _, err := throttle.Count(tx, env.ID, "digest", digestEvery)
		if err != nil || sent > 1 {
			return err
		}
		lines, err := m.digestLines(tx, env, stuck[:min(len(stuck), digestNames)])
		if err != nil {
			return err
		}
		admins, err := user.List(tx, env.ID, user.Filter{Role: access.ClientAdmin, State: user.Active, Limit: digestAdmins})
		for _, a := range admins {
			if err := notice.Digest(tx, env, to(a), lines, len(stuck)-len(lines)); err != nil {
				return err
			}
		}
		return err
	})
}

func (m *UserManager) digestLines(tx *db.Tx, env environment.Environment, stuck []cases.Case) ([]notice.Stuck, error) {
	ids := make([]id.User, len(stuck))
	for i, c := range stuck {
		ids[i] = c.User
	}
	found, err := user.Among(tx, env.ID, ids)
	if err != nil {
		return nil, err
	}
	users := make([]user.User, len(ids))
	for i, u := range ids {
		users[i] = found[u]
	}
	told, err := m.diagnose(tx, env, users)
	lines := make([]notice.Stuck, len(stuck))
	for i, c := range stuck {
		lines[i] = notice.Stuck{Name: users[i].Name, Why: told[c.User].Class.Short()}
		if lines[i].Why == "" {
			lines[i].Why = strings.ToUpper(string(c.Why[:1])) + string(c.Why[1:])
		}
	}
	return lines, err
}
