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

// pooled reads through a pool of connections under a context.
type pooled struct {
	ctx   context.Context
	stmts *stmts
}

func (p pooled) exec(query string, args []any) (int64, error) {
	s, err := p.stmts.get(p.ctx, query)
	if err != nil {
		return 0, err
	}
	r, err := s.ExecContext(p.ctx, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func (p pooled) query(query string, args []any) (*sql.Rows, error) {
	s, err := p.stmts.get(p.ctx, query)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(p.ctx, args...)
}
