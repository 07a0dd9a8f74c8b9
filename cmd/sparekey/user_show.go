package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/app"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/user"
	"github.com/sparekey/sparekey/internal/usermanager"
)

type userShow struct {
	oneUser
	JSON bool `name:"json" help:"Print JSON."`
}

func (c userShow) Run(ctx context.Context, t *terminal, s *settings) error {
	return c.inEnvironment.with(ctx, t, s, func(core *app.Core, env environment.Environment) error {
		shown, err := core.UserManager.Show(ctx, access.Operator(), env, c.Email)
		if err != nil {
			return c.named(err)
		}
		if c.JSON {
			return t.json(shown)
		}
		return showUser(t, shown)
	})
}

// showAsJSON prints a user that was just made, as user show would.
func showAsJSON(ctx context.Context, t *terminal, core *app.Core, env environment.Environment, u user.User) error {
	shown, err := core.UserManager.Show(ctx, access.Operator(), env, u.Email)
	if err != nil {
		return err
	}
	return t.json(shown)
}

func showUser(t *terminal, u usermanager.Shown) error {
	token := "none that works"
	if u.Token.Live {
		token = "works until " + whenIf(u.Token.Expires, "it is used")
	}
	facts := [][2]string{
		{"Name", u.Name},
		{"E-mail", u.Email},
		{"Role", string(u.Role)},
		{"State", string(u.State)},
		{"Last sign-in", whenIf(u.LastSignIn, "never")},
		{"Reset token", token},
		{"Id", string(u.ID)},
	}
	if u.Mail.Sentence != nil {
		facts = append(facts, [2]string{"Mail", *u.Mail.Sentence})
	}
	if u.Mail.Action != nil {
		facts = append(facts, [2]string{"Next step", *u.Mail.Action})
	}
	if err := t.facts(facts); err != nil {
		return err
	}
	if len(u.Links) > 0 {
		if err := t.say("\nLinks of the newest token"); err != nil {
			return err
		}
		if err := t.table([]string{"MADE", "WAY", "BY", "OPENED"}, linkRows(u.Links)); err != nil {
			return err
		}
	}
	if len(u.Messages) == 0 {
		return nil
	}
	if err := t.say("\nMails, newest first"); err != nil {
		return err
	}
	return t.table([]string{"MAIL", "STATE", "LAST TRY", "SERVER", "REPLY"}, messageRows(u.Messages))
}

func linkRows(links []usermanager.ShownLink) [][]string {
	var rows [][]string
	for _, l := range links {
		by, opened := "asked for by mail", "not yet"
		if l.MadeBy != nil {
			by = *l.MadeBy
		}
		if l.OpenedAt != nil && l.OpenedBy != nil {
			opened = fmt.Sprintf("%s by a %s", whenIf(l.OpenedAt, ""), *l.OpenedBy)
		}
		rows = append(rows, []string{whenIf(l.MadeAt, ""), string(l.Channel), by, opened})
	}
	return rows
}

func messageRows(messages []usermanager.ShownMessage) [][]string {
	var rows [][]string
	for _, m := range messages {
		row := []string{m.Kind, m.State, "", "", ""}
		if n := len(m.Attempts); n > 0 {
			last := m.Attempts[n-1]
			row[2] = whenIf(last.At, "")
			if last.Server != nil {
				row[3] = *last.Server
			}
			if last.Reply != nil {
				row[4], _, _ = strings.Cut(*last.Reply, "\n")
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// whenIf is when for a time that may not be there.
func whenIf(at *time.Time, none string) string {
	if at == nil {
		return none
	}
	return when(*at, none)
}
