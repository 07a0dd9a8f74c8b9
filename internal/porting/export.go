package porting

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/spreadsheet"
	"github.com/sparekey/sparekey/internal/user"
)

// ExportOptions says how to export.
type ExportOptions struct {
	Format Format
	// WithHashes adds the password hashes: for an operator who moves to another
	// server, and to be kept like passwords.
	WithHashes bool
	Progress   func(done int) // called now and then; may be nil
}

// exported is a user in JSON Lines, in the order of the fields.
type exported struct {
	Email        string     `json:"email"`
	Name         string     `json:"name"`
	Role         string     `json:"role"`
	State        user.State `json:"state"`
	ExternalID   string     `json:"external_id,omitempty"`
	PasswordHash string     `json:"password_hash,omitempty"`
}

// Export writes all users of an environment in the order of their names and
// gives their number. Import reads the same file back. In CSV a cell that a
// spreadsheet might run as a formula begins with an apostrophe, which Import
// takes off again.
func (p *Porting) Export(ctx context.Context, actor access.Actor, env environment.Environment, w io.Writer, o ExportOptions) (int, error) {
	if err := mayPort(actor, env); err != nil {
		return 0, err
	}
	if o.WithHashes && !actor.Operator {
		return 0, fault.New(fault.Denied, "Only an operator exports password hashes.")
	}
	out := bufio.NewWriter(w)
	write, flush := writeCSV(out, o.WithHashes)
	if o.Format == JSONLines {
		write, flush = writeJSON(out)
	}
	done := 0
	err := p.DB.View(db.Long(ctx), func(tx *db.Tx) error {
		for u, err := range user.Every(tx, env.ID) {
			if err != nil {
				return err
			}
			if !forExport(env, u) {
				continue
			}
			e := exported{Email: u.Email, Name: u.Name, Role: string(u.Role), State: u.State, ExternalID: u.ExternalID}
			if o.WithHashes {
				e.PasswordHash = u.PasswordHash
			}
			if err := write(e); err != nil {
				return fmt.Errorf("write user %d: %w", done+1, err)
			}
			done++
			if o.Progress != nil && done%chunk == 0 {
				o.Progress(done)
			}
		}
		return nil
	})
	if err != nil {
		return done, err
	}
	if err := flush(); err != nil {
		return done, fmt.Errorf("write: %w", err)
	}
	return done, nil
}

// forExport leaves out the server's own canary, which nobody could use elsewhere.
func forExport(env environment.Environment, u user.User) bool {
	return !env.IsOperators() || u.Role == access.ServerOperator
}

func writeJSON(out *bufio.Writer) (write func(exported) error, flush func() error) {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	return func(u exported) error { return e.Encode(u) }, out.Flush
}

func writeCSV(out *bufio.Writer, withHashes bool) (write func(exported) error, flush func() error) {
	w := csv.NewWriter(out)
	w.UseCRLF = true // RFC 4180
	columns := fields
	if !withHashes {
		columns = fields[:len(fields)-1]
	}
	first := true
	row := func(cells []string) error { return w.Write(cells[:len(columns)]) }
	header := func() error {
		if !first {
			return nil
		}
		first = false
		return row(columns)
	}
	write = func(u exported) error {
		if err := header(); err != nil {
			return err
		}
		cells := []string{u.Email, u.Name, u.Role, string(u.State), u.ExternalID, u.PasswordHash}
		for i := range cells {
			cells[i] = spreadsheet.Guard(cells[i])
		}
		return row(cells)
	}
	flush = func() error {
		if err := header(); err != nil { // also of an environment without users
			return err
		}
		w.Flush()
		if err := w.Error(); err != nil {
			return err
		}
		return out.Flush()
	}
	return write, flush
}
