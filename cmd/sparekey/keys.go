package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/alecthomas/kong"

	"github.com/sparekey/sparekey/internal/app"
	"github.com/sparekey/sparekey/internal/keyring"
)

type keysCommands struct {
	List   keysList   `cmd:"" help:"List the keys, oldest first."`
	Rotate keysRotate `cmd:"" help:"Sign with a new key from now on; links of the old ones stay valid until they end."`
	Revoke keysRevoke `cmd:"" help:"After a leak: links and codes of one key end now."`
	Rewrap keysRewrap `cmd:"" help:"Change the master key in the key file; no link and no DKIM key ends."`
	Reset  keysReset  `cmd:"" help:"After the key file is lost: start a new ring. Live links end and DKIM keys are retired; nothing else is lost."`

	Settings kong.Plugins `embed:""`
}

// shownKey is a key as scripts read it.
type shownKey struct {
	ID        int        `json:"id"`
	State     string     `json:"state"` // signing, retired or revoked
	MadeAt    *time.Time `json:"made_at"`
	RetiredAt *time.Time `json:"retired_at"`
	RevokedAt *time.Time `json:"revoked_at"`
}

type keysList struct {
	JSON bool `name:"json" help:"Print JSON."`
}

func (c keysList) Run(ctx context.Context, t *terminal, s *settings) error {
	return s.withCore(ctx, t, func(core *app.Core) error {
		keys, err := keyring.List(ctx, core.DB)
		if err != nil {
			return err
		}
		shown := make([]shownKey, 0, len(keys))
		rows := make([][]string, 0, len(keys))
		for _, k := range keys {
			shown = append(shown, shownKey{ID: k.ID, State: keyState(k), MadeAt: stamp(k.MadeAt), RetiredAt: stamp(k.RetiredAt), RevokedAt: stamp(k.RevokedAt)})
			rows = append(rows, []string{strconv.Itoa(k.ID), keyState(k), when(k.MadeAt, ""), when(k.RetiredAt, ""), when(k.RevokedAt, "")})
		}
		if c.JSON {
			return t.json(shown)
		}
		return t.table([]string{"KEY", "STATE", "MADE", "RETIRED", "REVOKED"}, rows)
	})
}

func keyState(k keyring.Info) string {
	switch {
	case !k.RevokedAt.IsZero():
		return "revoked"
	case !k.RetiredAt.IsZero():
		return "retired"
	default:
		return "signing"
	}
}

type keysRotate struct{}

func (keysRotate) Run(ctx context.Context, t *terminal, s *settings) error {
	return s.withCore(ctx, t, func(core *app.Core) error {
		if err := core.Ring.Rotate(ctx); err != nil {
			return err
		}
		return t.say("A new key signs from now on. Links of the old one stay valid until they end.")
	})
}

type keysRevoke struct {
	ID int `arg:"" help:"The number of the key, as keys list shows it."`
}

func (c keysRevoke) Run(ctx context.Context, t *terminal, s *settings) error {
	return s.withCore(ctx, t, func(core *app.Core) error {
		if err := core.Ring.Revoke(ctx, c.ID); err != nil {
			return err
		}
		return t.say(fmt.Sprintf("Key %d is revoked: its links and codes have ended.", c.ID))
	})
}

type keysRewrap struct{}

func (keysRewrap) Run(ctx context.Context, t *terminal, s *settings) error {
	return s.withCore(ctx, t, func(core *app.Core) error {
		file := core.Config.KeyFile
		if err := core.Ring.Rewrap(ctx, file); err != nil {
			return err
		}
		return t.say(fmt.Sprintf("%s holds a new master key. Give it to every node and restart them; keep a copy with your backups.", file))
	})
}

type keysReset struct{}

func (keysReset) Run(ctx context.Context, t *terminal, s *settings) error {
	conf, err := s.load(t)
	if err != nil {
		return err
	}
	// Not app.Open: the ring is what cannot be opened any more.
	d, err := app.OpenDatabase(ctx, conf, options(conf, t))
	if err != nil {
		return err
	}
	if err := errors.Join(keyring.Reset(ctx, d, conf.KeyFile), d.Close()); err != nil {
		return err
	}
	return t.say(fmt.Sprintf("A new ring was started with a new master key in %s. Links and codes sent before have ended; passwords and sessions are as they were. DKIM keys are retired: make new ones with sparekey dkim rotate. Restart the servers that run.", conf.KeyFile))
}
