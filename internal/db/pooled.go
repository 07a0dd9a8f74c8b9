package db

import (
	"context"
	"database/sql"
	"sync"
)

// stmts keeps one prepared statement for each text. Texts are constants of the
// program, so their number is bounded.
type stmts struct {
	db *sql.DB
	m  sync.Map // string -> *sql.Stmt
}

func (s *stmts) get(ctx context.Context, query string) (*sql.Stmt, error) {
	if st, ok := s.m.Load(query); ok {
		return st.(*sql.Stmt), nil
	}
	st, err := s.db.PrepareContext(ctx, keptPlan(query))
	if err != nil {
		return nil, err
	}
	if first, loaded := s.m.LoadOrStore(query, st); loaded {
		_ = st.Close()
		return first.(*sql.Stmt), nil
	}
	return st, nil
}

// pooled reads through a pool of connections, under a context.
type pooled struct {
	ctx       context.Context
	stmts     *stmts
	stoppable bool
}

// under gives the context for a statement. The driver starts goroutines to watch
// one that can end, which takes longer than most reads.
func (p pooled) under() (context.Context, error) {
	if p.stoppable {
		return p.ctx, nil
	}
	return context.WithoutCancel(p.ctx), p.ctx.Err()
}

func (p pooled) exec(query string, args []any) (int64, error) {
	ctx, err := p.under()
	if err != nil {
		return 0, err
	}
	s, err := p.stmts.get(ctx, query)
	if err != nil {
		return 0, err
	}
	r, err := s.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func (p pooled) query(query string, args []any) (*sql.Rows, error) {
	ctx, err := p.under()
	if err != nil {
		return nil, err
	}
	s, err := p.stmts.get(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, args...)
}

// Stoppable is for a statement of a View that may take long: on SQLite it ends
// with the context, where others are finished first.
func (tx *Tx) Stoppable() *Tx {
	p, reads := tx.q.(pooled)
	if !reads {
		return tx
	}
	p.stoppable = true
	return &Tx{q: p, db: tx.db, now: tx.now, dialect: tx.dialect}
}
