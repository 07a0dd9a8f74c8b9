package porting

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/approval"
	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/user"
)

// ImportOptions says how to import.
type ImportOptions struct {
	Format  Format
	DryRun  bool // judge every line, write nothing
	Partial bool // write the good lines although others are refused
	// Report is told of every refused line, in order; it may be nil.
	Report func(line int, reason string)
	// Progress is told now and then how many lines are done; it may be nil. An
	// import that is all or nothing counts twice, first judging, then writing.
	Progress func(done int)
}

// Summary is what came of an import.
type Summary struct {
	Read    int // lines with a user
	Added   int // users written; in a dry run those that would be
	Refused int // lines
}

// chunk is how many lines are looked up or written in one transaction.
const chunk = 500

// Import adds the users of a file. Existing users are never changed: a line with
// the address of one is refused. Unless it is Partial, one refused line is
// enough for an Invalid fault and nothing is added. Where the policy wants a
// second Client Admin's agreement, only an operator's file may have a Client Admin.
func (p *Porting) Import(ctx context.Context, actor access.Actor, env environment.Environment, r io.Reader, o ImportOptions) (Summary, error) {
	if err := mayPort(actor, env); err != nil {
		return Summary{}, err
	}
	if env.IsOperators() {
		return Summary{}, fault.New(fault.Denied, "Operators are made one by one. See: sparekey user create --help")
	}
	im := &importing{db: p.DB, env: env, actor: actor, options: o}
	if o.Partial && !o.DryRun {
		err := im.read(ctx, r, im.add)
		return im.sum, err
	}
	kept, err := newSpool()
	if err != nil {
		return Summary{}, err
	}
	defer kept.remove()
	if err := im.judge(ctx, r, kept); err != nil || o.DryRun {
		return im.sum, err
	}
	err = im.addAll(ctx, kept)
	return im.sum, err
}

// importing is one import under way.
type importing struct {
	db      *db.DB
	env     environment.Environment
	actor   access.Actor
	options ImportOptions
	sum     Summary
}

// line is one line that was read: a user, or why it is none.
type line struct {
	number int
	user   user.New
	reason string
}

func (im *importing) report(l line) {
	im.sum.Refused++
	if im.options.Report != nil {
		im.options.Report(l.number, l.reason)
	}
}

func (im *importing) progress(done int) {
	if im.options.Progress != nil {
		im.options.Progress(done)
	}
}

// read reads the file in chunks of lines and hands each on.
func (im *importing) read(ctx context.Context, r io.Reader, handle func(context.Context, []line) error) error {
	in, err := open(r, im.options.Format)
	if err != nil {
		return err
	}
	for batch := make([]line, 0, chunk); ; batch = batch[:0] {
		end := false
		for len(batch) < chunk && !end {
			l, err := im.nextLine(in)
			if end = errors.Is(err, io.EOF); end {
				break
			}
			if err != nil {
				return err
			}
			batch = append(batch, l)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(batch) > 0 {
			if err := handle(ctx, batch); err != nil {
				return err
			}
			im.sum.Read += len(batch)
			im.progress(im.sum.Read)
		}
		if end {
			return nil
		}
	}
}

// nextLine gives the next line, with its reason if it is refused.
func (im *importing) nextLine(in lines) (line, error) {
	number, r, err := in.next()
	l := line{number: number}
	if err == nil {
		l.user, err = newUser(im.env.ID, r)
	}
	if number == 0 {
		return l, err // of the whole file
	}
	f := fault.As(err)
	if err != nil && f == nil {
		return l, err
	}
	switch {
	case f != nil:
		l.reason = f.Sentence
	case im.env.Policy.SecondAdmin && !approval.MayGive(im.actor, l.user.Role):
		l.reason = approval.OperatorsAdd
	}
	return l, nil
}

const takenReason = "A user of this environment has this address, or one that reads the same."

// seenAt remembers the line of each address by the first bytes of a hash, in 20
// bytes whatever the address. Two addresses that share them do not happen.
type seenAt map[[16]byte]int32

func keyOf(u user.New) [16]byte {
	sum := sha256.Sum256([]byte(u.Email.Key))
	return [16]byte(sum[:16])
}

// judge reads the whole file, reports every line that could not be added and
// keeps the others ready to be written.
func (im *importing) judge(ctx context.Context, file io.Reader, kept *spool) error {
	seen := seenAt{}
	err := im.read(ctx, file, func(ctx context.Context, batch []line) error {
		taken, err := im.taken(ctx, batch)
		if err != nil {
			return err
		}
		for _, l := range batch {
			first, again := seen[keyOf(l.user)]
			switch {
			case l.reason != "":
			case again:
				l.reason = fmt.Sprintf("This address, or one that reads the same, stands on line %d already.", first)
			case taken[l.user.Email.Key]:
				l.reason = takenReason
			}
			if l.reason != "" {
				im.report(l)
				continue
			}
			seen[keyOf(l.user)] = int32(min(l.number, 1<<31-1)) //nolint:gosec // bounded
			im.sum.Added++
			if im.options.DryRun {
				continue
			}
			if err := kept.add(l); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		im.sum.Added = 0
		return err
	}
	if im.sum.Refused > 0 && !im.options.Partial {
		im.sum.Added = 0
		return im.refused()
	}
	return nil
}

func (im *importing) refused() error {
	would := "was"
	if im.options.DryRun {
		would = "would be"
	}
	if im.sum.Refused == 1 {
		return fault.New(fault.Invalid, "One line was refused, so nothing %s imported.", would)
	}
	return fault.New(fault.Invalid, "%d lines were refused, so nothing %s imported.", im.sum.Refused, would)
}

// taken tells which addresses of some lines belong to users already.
func (im *importing) taken(ctx context.Context, batch []line) (map[string]bool, error) {
	var keys []string
	for _, l := range batch {
		if l.reason == "" {
			keys = append(keys, l.user.Email.Key)
		}
	}
	var taken map[string]bool
	err := im.db.View(ctx, func(tx *db.Tx) (err error) {
		taken, err = user.TakenAmong(tx, im.env.ID, keys)
		return err
	})
	return taken, err
}

// add writes the good lines of a chunk in a transaction of their own.
func (im *importing) add(ctx context.Context, batch []line) error {
	var refused []line
	added := 0
	err := im.db.Update(ctx, func(tx *db.Tx) (err error) {
		refused, added = nil, 0 // the closure may run again
		for _, l := range batch {
			if l.reason == "" {
				l.reason, err = im.write(tx, l.user)
			}
			switch {
			case err != nil:
				return err
			case l.reason != "":
				refused = append(refused, l)
			default:
				added++
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	im.sum.Added += added
	for _, l := range refused {
		im.report(l)
	}
	return nil
}

// write adds one user; the reason says why one cannot be added.
func (im *importing) write(tx *db.Tx, n user.New) (reason string, err error) {
	u, err := user.Create(tx, im.env.ID, n)
	if f := fault.As(err); f != nil && f.Kind == fault.Conflict {
		return f.Sentence, nil
	}
	if err != nil {
		return "", err
	}
	return "", audit.Record(tx, im.env.ID, im.created(u.ID, u.Role))
}

func (im *importing) created(u id.User, role access.Role) audit.Event {
	return audit.Event{
		Kind: audit.UserCreated, User: u, Actor: im.actor, Detail: audit.Detail{"by": "import", "role": string(role)},
	}
}

// addAll writes every line that was kept, or none. An address may have been
// taken since it was judged.
func (im *importing) addAll(ctx context.Context, kept *spool) error {
	judged := im.sum
	var refused []line
	err := im.db.Update(db.Long(ctx), func(tx *db.Tx) error {
		refused, im.sum = nil, Summary{} // the closure may run again
		return kept.each(func(batch []ready) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			n, err := im.insert(tx, batch)
			if err != nil {
				return err
			}
			if n < len(batch) {
				refused, err = im.late(tx, batch)
				return errors.Join(err, errStop)
			}
			im.sum.Read, im.sum.Added = im.sum.Read+n, im.sum.Added+n
			if im.sum.Read%chunk == 0 {
				im.progress(im.sum.Read)
			}
			return nil
		})
	})
	if err != nil {
		im.sum = Summary{Read: judged.Read}
	}
	if errors.Is(err, errStop) && len(refused) > 0 {
		for _, l := range refused {
			im.report(l)
		}
		return im.refused()
	}
	return err
}

// insert writes users with their events and tells how many of them.
func (im *importing) insert(tx *db.Tx, batch []ready) (int, error) {
	rows := make([]user.Row, len(batch))
	events := make([]audit.Event, len(batch))
	for i, b := range batch {
		rows[i] = b.Row
		events[i] = im.created(b.Row.ID, b.Row.New.Role)
	}
	n, err := user.Insert(tx, im.env.ID, rows)
	if err != nil || n < len(batch) {
		return n, err
	}
	return n, audit.RecordAll(tx, im.env.ID, events)
}

// late finds those whose address somebody else has taken meanwhile.
func (im *importing) late(tx *db.Tx, batch []ready) (refused []line, err error) {
	for _, b := range batch {
		u, err := user.FindByEmail(tx, im.env.ID, b.Row.New.Email.Key)
		if err != nil {
			return nil, err
		}
		if u.ID != b.Row.ID {
			refused = append(refused, line{number: b.Line, reason: takenReason})
		}
	}
	return refused, nil
}

// errStop undoes the transaction.
var errStop = errors.New("a line was refused")
