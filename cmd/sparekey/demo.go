package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/app"
	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/inbox"
)

type demoCommand struct {
	Listen string `placeholder:"HOST:PORT" help:"The address to serve on. Without it 127.0.0.1:8080, or a free port where that one is taken."`
	Data   string `placeholder:"DIR" help:"Keep the data in this folder for the next time. Without it everything is forgotten at the end."`
	// Without it every mail arrives, and somebody who tries the product is not surprised.
	MailTrouble bool `help:"Let the mails of three people fail, each in its own way, to see what an administrator is told."`
}

func (demoCommand) Help() string {
	return "Everything runs in this one process and on this machine: the server, an SQLite database, and an inbox that takes every mail. " +
		"The configuration file and the SPAREKEY_ variables are not read."
}

// Where the demo likes to be found.
const (
	demoListen = "127.0.0.1:8080"
	demoInbox  = "127.0.0.1:8025"
)

func (c demoCommand) Run(ctx context.Context, t *terminal) (err error) {
	folder, forget, err := c.folder()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, forget()) }()
	l, err := c.listen(ctx)
	if err != nil {
		return err
	}
	box, err := inbox.Listen("127.0.0.1:0")
	if err != nil {
		return errors.Join(err, l.Close())
	}
	defer func() { err = errors.Join(err, box.Close()) }()
	page, closePage, err := serveInbox(ctx, box)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	defer func() { err = errors.Join(err, closePage()) }()
	conf, err := demoConfig(l, box, folder)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	o := options(conf, t)
	o.Hash.Workers = fitMachine()
	server, err := app.New(ctx, conf, o)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	if err := app.Seed(ctx, server.Core); err != nil {
		return errors.Join(err, l.Close(), server.Close())
	}
	if c.MailTrouble {
		box.SetFate(app.DemoFate)
	}
	if err := t.say(c.guide(conf, page)); err != nil {
		return errors.Join(err, l.Close(), server.Close())
	}
	return server.Run(ctx, l)
}

// folder gives where the data lives, and what to do with it at the end.
func (c demoCommand) folder() (folder string, forget func() error, err error) {
	if c.Data == "" {
		folder, err = os.MkdirTemp("", "sparekey-demo-")
		return folder, func() error { return os.RemoveAll(folder) }, err
	}
	if folder, err = filepath.Abs(c.Data); err == nil {
		err = os.MkdirAll(folder, 0o700)
	}
	if err != nil {
		return "", nil, fault.Wrap(fault.Invalid, err, fmt.Sprintf("The folder %s cannot be used for the data.", c.Data))
	}
	return folder, func() error { return nil }, nil
}

// listen takes the address that was asked for or, if none was, the usual one or
// any that is free.
func (c demoCommand) listen(ctx context.Context) (net.Listener, error) {
	if c.Listen != "" {
		return listen(ctx, c.Listen)
	}
	return listenOrFree(ctx, demoListen)
}

func listenOrFree(ctx context.Context, address string) (net.Listener, error) {
	if l, err := listen(ctx, address); err == nil {
		return l, nil
	}
	return listen(ctx, "127.0.0.1:0")
}

// serveInbox shows the inbox on a listener of its own, as another site would be.
func serveInbox(ctx context.Context, box *inbox.Inbox) (address string, stop func() error, err error) {
	l, err := listenOrFree(ctx, demoInbox)
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: box.Handler("/"), ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	stop = func() error {
		err := server.Close()
		if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	}
	return "http://" + l.Addr().String() + "/", stop, nil
}

// demoConfig goes through the same door as any other configuration.
func demoConfig(l net.Listener, box *inbox.Inbox, folder string) (config.Config, error) {
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return config.Config{}, err
	}
	return config.Load(map[string]string{
		"listen":    l.Addr().String(),
		"url":       "http://localhost:" + port,
		"database":  "sqlite:" + filepath.Join(folder, "sparekey.db"),
		"smtp":      "smtp://" + box.Addr() + "?tls=none",
		"mail-from": "Acme <no-reply@acme.example>",
		"log":       "warn", // what the demo says is the guide
	}, nil, os.DevNull) // an empty file: not the one in this folder
}

func (c demoCommand) guide(conf config.Config, inboxPage string) string {
	kept := "Everything is forgotten when you stop it with Ctrl+C."
	if c.Data != "" {
		kept = "The data stays in " + c.Data + ", and with it every password you change. Stop it with Ctrl+C."
	}
	trouble := "Start it with --mail-trouble to see what an administrator is told when mail fails."
	if c.MailTrouble {
		trouble = mailTrouble
	}
	return strings.NewReplacer(
		"{trouble}", trouble,
		"{url}", conf.URL.JoinPath(app.DemoSlug).String(), "{inbox}", inboxPage, "{kept}", kept,
		"{console}", conf.URL.JoinPath(environment.OperatorSlug).String(), "{operator}", app.DemoOperator,
		"{admin}", app.DemoAdmin, "{helpdesk}", app.DemoHelpdesk, "{member}", app.DemoMember, "{password}", app.DemoPassword,
	).Replace(guide)
}

const guide = `Sparekey demo. Everything runs on this machine; no mail leaves it.

  Log in         {url}/login
  User Manager   {url}/users
  Inbox          {inbox}
  Console        {console}

  {admin}      Ada Admin, Client Admin
  {helpdesk}   Henry Helpdesk, help desk
  {member}       Jane Doe, one of 25 users
  {operator}   Olivia Operator, runs the server: log in at the console
  Password of them all: {password}

A user cannot reset the password. Try it:
  1. On the login page choose "I forgot my password", enter {member}
     and choose "Send password reset link". The mail is in the inbox.
  2. Say the mail never reached Jane: leave it there. In a private window
     log in as {admin} and choose "User Manager".
  3. Search for Jane. In "Action for Jane Doe" choose "Reset Password", then "Go".
  4. "Copy link", and open it where Jane would: it sets a new password, once.
  5. Do the same for somebody who has not asked: "This user does not have a
     password reset token." The page says what to do.

{trouble}
{kept}`

const mailTrouble = `Mail fails for three people. Ask for them, then look at the User Manager:
  tomas.ferreira@acme.example   his mailbox is full
  wei.chen@acme.example         there is no such mailbox
  siobhan.byrne@acme.example    the server asks to come back later
"Needs help" has the first two at once, the third after five to ten minutes.
`
