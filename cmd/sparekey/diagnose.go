package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sparekey/sparekey/internal/address"
	"github.com/sparekey/sparekey/internal/diagnosis"
	"github.com/sparekey/sparekey/internal/dsn"
	"github.com/sparekey/sparekey/internal/fault"
)

type diagnoseCommand struct {
	Reply string   `name:"reply" placeholder:"TEXT" help:"Explain this answer of a mail server."`
	Stage string   `name:"stage" placeholder:"STEP" enum:",connect,hello,tls,auth,mail,rcpt,data" default:"" help:"The step the answer came in: connect, hello, tls, auth, mail, rcpt or data."`
	To    string   `name:"to" placeholder:"ADDRESS" help:"Whom the mail was for, if you know."`
	JSON  bool     `name:"json" help:"Print JSON, one object a line."`
	Files []string `arg:"" optional:"" name:"file" help:"Returned mails, each in a file of its own; - reads one from standard input."`
}

// Help is read below the usage.
func (diagnoseCommand) Help() string {
	return "Says why a mail did not arrive, as the User Manager would: give the answer of a mail server, or whole returned mails. It needs no database and no configuration. Whether a returned mail is genuine only the server can tell that sent the first one."
}

// diagnosed is one answer or returned mail. Its JSON is a promise to scripts.
type diagnosed struct {
	File       string               `json:"file"` // "" for a reply
	Kind       dsn.Kind             `json:"kind"`
	Recipients []diagnosedRecipient `json:"recipients"`
}

type diagnosedRecipient struct {
	Address string           `json:"address"` // "" if nobody says
	Class   diagnosis.Class  `json:"class"`
	Family  diagnosis.Family `json:"family"`
	Hard    bool             `json:"hard"`
	Status  string           `json:"status"`
	Reply   string           `json:"reply"`

	found diagnosis.Diagnosed
}

func (c diagnoseCommand) Run(ctx context.Context, t *terminal) error {
	switch {
	case c.Reply != "" && len(c.Files) > 0:
		return usageError("give an answer (--reply) or files, not both")
	case strings.TrimSpace(c.Reply) == "" && len(c.Files) == 0:
		return usageError("give the answer of a mail server (--reply TEXT) or the files of returned mails")
	case c.Stage != "" && c.Reply == "":
		return usageError("--stage belongs to --reply")
	}
	if c.To != "" {
		to, err := address.Parse(c.To)
		if err != nil {
			return usageError(fmt.Sprintf("--to: %s", sentence(err)))
		}
		c.To = to.Mail
	}
	if c.Reply != "" {
		return c.show(t, c.ofReply(), true)
	}
	var failed error
	for i, name := range c.Files {
		d, err := c.ofFile(ctx, t, name)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			err = c.show(t, d, i == 0)
		}
		if err != nil { // the others may still be read
			if failed != nil {
				_, _ = fmt.Fprintln(t.err, sentence(failed))
			}
			failed = err
		}
	}
	return failed
}

// ofReply explains one answer. What the sender was to do with it is its kind.
func (c diagnoseCommand) ofReply() diagnosed {
	found := diagnosis.Diagnosed{Address: c.To, Finding: diagnosis.Reply(diagnosis.Heard{
		Stage: c.Stage, Text: c.Reply, Domain: address.Domain(c.To), OwnRelay: c.Stage == "auth",
	})}
	found.Kind = kindOfReply(found.Finding)
	return diagnosed{Kind: found.Kind, Recipients: []diagnosedRecipient{recipientOf(found)}}
}

func kindOfReply(f diagnosis.Finding) dsn.Kind {
	switch f.Class {
	case diagnosis.Delivered:
		return dsn.Delivered
	case diagnosis.Delayed:
		return dsn.Delay
	case diagnosis.AutoReply:
		return dsn.AutoReply
	case diagnosis.Complaint:
		return dsn.Complaint
	case diagnosis.GaveUp:
		return dsn.Bounce
	}
	switch {
	case f.Code/100 == 2:
		return dsn.Delivered
	case f.Code/100 == 4:
		return dsn.Delay
	case f.Code/100 == 5:
		return dsn.Bounce
	case f.Class == diagnosis.Unknown:
		return dsn.None
	case f.Class.Family() == diagnosis.FamilyTemporary:
		return dsn.Delay
	}
	return dsn.Bounce
}

// ofFile explains one returned mail.
func (c diagnoseCommand) ofFile(ctx context.Context, t *terminal, name string) (diagnosed, error) {
	read, err := unlessStopped(ctx, func() (dsn.Returned, error) { return readReturned(t, name) })
	if err != nil {
		return diagnosed{}, err
	}
	d := diagnosed{File: name, Kind: read.Kind, Recipients: []diagnosedRecipient{}}
	for _, found := range diagnosis.Returned(read) {
		if found.Address == "" {
			found.Address = c.To
		}
		d.Recipients = append(d.Recipients, recipientOf(found))
	}
	return d, nil
}

// unlessStopped waits for a reading no longer than ctx lasts: a pipe may stay silent
// for ever. What it then leaves behind ends with the process.
func unlessStopped[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		v, err := read()
		done <- result{v, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

func readReturned(t *terminal, name string) (dsn.Returned, error) {
	from, called := t.in, "Standard input"
	if name != "-" {
		called = name
		if info, err := os.Stat(name); err == nil && info.IsDir() {
			return dsn.Returned{}, fault.New(fault.Invalid, "%s is a folder. Name the mails in it, for example %s/*.eml.", name, strings.TrimRight(name, "/"))
		}
		f, err := os.Open(name)
		if err != nil {
			return dsn.Returned{}, fault.Wrap(fault.Invalid, err, called+" cannot be read.")
		}
		defer func() { _ = f.Close() }()
		from = io.Reader(f)
	}
	read, err := dsn.Read(from)
	switch {
	case errors.Is(err, dsn.ErrNoMail):
		return read, fault.New(fault.Invalid, "%s is no mail: it does not begin with a header. For the answer of a mail server use --reply.", called)
	case err != nil:
		return read, fault.Wrap(fault.Invalid, err, called+" cannot be read.")
	}
	return read, nil
}

func recipientOf(found diagnosis.Diagnosed) diagnosedRecipient {
	return diagnosedRecipient{
		Address: found.Address, Class: found.Class, Family: found.Class.Family(), Hard: found.Hard,
		Status: found.Enhanced, Reply: found.Reply, found: found,
	}
}

// line prints one value as JSON on one line.
func (t *terminal) line(v any) error {
	e := json.NewEncoder(t.out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// show prints one answer or mail; a blank line parts it from the one before.
func (c diagnoseCommand) show(t *terminal, d diagnosed, first bool) error {
	if c.JSON {
		return t.line(d)
	}
	var b strings.Builder
	if !first {
		b.WriteByte('\n')
	}
	if d.File != "" {
		fmt.Fprintf(&b, "%s: %s\n", printable(d.File), kindWords[d.Kind])
	}
	for i, rc := range d.Recipients {
		if i > 0 || d.File != "" {
			b.WriteByte('\n')
		}
		rc.write(&b, rc.found.Reason)
	}
	_, err := io.WriteString(t.out, b.String())
	return err
}

// kindWords say what a mail is, in the words of the timeline.
var kindWords = map[dsn.Kind]string{
	dsn.Bounce:    "a report that a mail was not delivered",
	dsn.Delay:     "a report that a mail is delayed; it is still being tried",
	dsn.Complaint: "a report that a mail was unwanted",
	dsn.Delivered: "a report that a mail was delivered",
	dsn.AutoReply: "an automatic answer; it says nothing against the address",
	dsn.None:      "nothing about the delivery of a mail",
}

// write prints what is to be said of one recipient: the sentence first, then the
// step that helps, then what it was read from.
func (rc diagnosedRecipient) write(b *strings.Builder, reason diagnosis.Class) {
	facts := rc.facts()
	say := func(c diagnosis.Class) string {
		sentence := diagnosis.Sentence(c, facts)
		if rc.Address != "" {
			return sentence // it may begin with the address, or its domain
		}
		return upperFirst(sentence)
	}
	if reason != "" {
		facts.Reason = say(reason)
	}
	if rc.Address != "" {
		fmt.Fprintf(b, "%s\n", printable(rc.Address))
	}
	fmt.Fprintf(b, "%s\n", printable(say(rc.Class)))
	permanence := "may pass, or be repaired"
	switch {
	case rc.Hard:
		permanence = "writing to this address again cannot work"
	case rc.Family == diagnosis.FamilyNone:
		permanence = "nothing is decided"
	case rc.Family == diagnosis.FamilyUnknown:
		permanence = "nobody can say"
	}
	lines := [][2]string{
		{"Class", fmt.Sprintf("%s (%s; %s)", rc.Class, rc.Family, permanence)},
		{"To do", diagnosis.Action(rc.Class, facts).Words},
		{"Operator", diagnosis.Operator(rc.Class, facts)},
		{"Server", rc.found.Server},
		{"Status", rc.Status},
		{"Reply", rc.Reply},
	}
	for _, line := range lines {
		if line[1] != "" {
			fmt.Fprintf(b, "  %-9s %s\n", line[0]+":", strings.ReplaceAll(printableLines(line[1]), "\n", "\n            "))
		}
	}
}

// facts are what a sentence may name. Nobody has a name here.
func (rc diagnosedRecipient) facts() diagnosis.Facts {
	f := diagnosis.Facts{Name: rc.Address, Address: rc.Address, New: rc.found.MovedTo, Reply: rc.Reply, List: rc.found.List}
	switch rc.Class {
	case diagnosis.AutoReply, diagnosis.Delivered, diagnosis.Complaint: // it happened when the mail was written
		f.Since = rc.found.At
	}
	if rc.Address != "" {
		return f
	}
	f.Name, f.Address = "the person", "this address"
	if rc.Class == diagnosis.NoSuchMailbox || rc.Class == diagnosis.MailboxDisabled {
		f.Address = "at this address"
	}
	return f
}

// printableLines is printable for a text of several lines.
func printableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(printable(line))
	}
	return strings.Join(lines, "\n")
}
