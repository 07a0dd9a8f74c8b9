package db

import (
	"database/sql"
	"fmt"
	"iter"
	"reflect"
	"strings"
	"sync"
	"time"
)

// One gives the single row of a query as a T: a struct whose fields carry
// `db:"column"` tags, or a plain string, number, bool or time.
// It returns ErrNone when there is no row.
func One[T any](tx *Tx, query string, args ...any) (T, error) {
	var zero T
	for v, err := range Each[T](tx, query, args...) {
		return v, err
	}
	return zero, ErrNone
}

// All gives every row of a query.
func All[T any](tx *Tx, query string, args ...any) ([]T, error) {
	var all []T
	for v, err := range Each[T](tx, query, args...) {
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// Each streams the rows of a query; an error ends it.
func Each[T any](tx *Tx, query string, args ...any) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		fail := func(err error) { yield(zero, fmt.Errorf("%s: %w", firstWords(query), err)) }
		rows, err := tx.q.query(query, bind(args))
		if err != nil {
			fail(err)
			return
		}
		defer func() { _ = rows.Close() }() // its error is that of rows.Err
		s, err := newScanner[T](rows)
		if err != nil {
			fail(err)
			return
		}
		for rows.Next() {
			var v T
			if err := s.scan(rows, &v); err != nil {
				fail(err)
				return
			}
			if !yield(v, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			fail(err)
		}
	}
}

// bind turns the domain's values into what both drivers take.
func bind(args []any) []any {
	for i, a := range args {
		switch v := a.(type) {
		case time.Time:
			if v.IsZero() {
				args[i] = nil
			} else {
				args[i] = v.UnixMicro()
			}
		case string, int64, bool, nil, int:
		default:
			if rv := reflect.ValueOf(a); rv.Kind() == reflect.String {
				args[i] = rv.String()
			}
		}
	}
	return args
}

var timeType = reflect.TypeFor[time.Time]()

// scanner reads rows into values of one type; NULL becomes the zero value.
type scanner struct {
	fields [][]int // index path of the field for each column; nil: the value itself
	dests  []any
}

func newScanner[T any](rows *sql.Rows) (*scanner, error) {
	t := reflect.TypeFor[T]()
	if t.Kind() != reflect.Struct || t == timeType {
		return &scanner{fields: [][]int{nil}, dests: []any{destFor(t)}}, nil
	}
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	byName := fieldsOf(t)
	s := &scanner{fields: make([][]int, len(columns)), dests: make([]any, len(columns))}
	for i, c := range columns {
		index, ok := byName[c]
		if !ok {
			return nil, fmt.Errorf("%v has no field for column %q", t, c)
		}
		s.fields[i] = index
		s.dests[i] = destFor(t.FieldByIndex(index).Type)
	}
	return s, nil
}

func (s *scanner) scan(rows *sql.Rows, into any) error {
	if err := rows.Scan(s.dests...); err != nil {
		return err
	}
	v := reflect.ValueOf(into).Elem()
	for i, d := range s.dests {
		f := v
		if s.fields[i] != nil {
			f = v.FieldByIndex(s.fields[i])
		}
		assign(f, d)
	}
	return nil
}

func destFor(t reflect.Type) any {
	switch {
	case t == timeType:
		return new(sql.NullInt64)
	case t.Kind() == reflect.String:
		return new(sql.NullString)
	case t.Kind() == reflect.Bool:
		return new(sql.NullBool)
	default:
		return new(sql.NullInt64)
	}
}

func assign(f reflect.Value, dest any) {
	switch d := dest.(type) {
	case *sql.NullString:
		f.SetString(d.String)
	case *sql.NullBool:
		f.SetBool(d.Bool)
	case *sql.NullInt64:
		switch {
		case f.Type() != timeType:
			f.SetInt(d.Int64)
		case d.Valid:
			f.Set(reflect.ValueOf(time.UnixMicro(d.Int64).UTC()))
		default:
			f.Set(reflect.Zero(timeType))
		}
	}
}

var fieldCache sync.Map // reflect.Type -> map[string][]int

func fieldsOf(t reflect.Type) map[string][]int {
	if m, ok := fieldCache.Load(t); ok {
		return m.(map[string][]int)
	}
	m := map[string][]int{}
	for _, f := range reflect.VisibleFields(t) {
		if tag := f.Tag.Get("db"); tag != "" {
			m[tag] = f.Index
		}
	}
	fieldCache.Store(t, m)
	return m
}

// firstWords names a statement in an error: statements hold no values.
func firstWords(query string) string {
	words := strings.Fields(query)
	if len(words) > 4 {
		words = words[:4]
	}
	return strings.Join(words, " ")
}
