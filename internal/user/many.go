package user

import (
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/folding"
	"github.com/sparekey/sparekey/internal/id"
)

// Row is a new user made ready to be written, outside of any transaction.
type Row struct {
	New        New
	ID         id.User
	SearchText string
	SortKey    string
}

// Prepare checks the name of a new user and makes what is stored beside it.
func Prepare(n New) (Row, error) {
	name, err := CheckName(n.Name)
	if err != nil {
		return Row{}, err
	}
	n.Name = name
	return Row{New: n, ID: id.New[id.User](), SearchText: searchText(name, n.Email.Mail), SortKey: folding.SortKey(name)}, nil
}

// Insert adds users in one statement and tells how many of them: those whose
// address is taken are left out. For at most a few hundred.
func Insert(tx *db.Tx, env id.Environment, rows []Row) (int, error) {
	const columns = 13
	args := make([]any, 0, len(rows)*columns)
	for _, r := range rows {
		n := r.New
		args = append(args, env, r.ID, n.Email.Mail, n.Email.Key, n.Name, r.SearchText, r.SortKey,
			n.Role, n.State, n.ExternalID, n.PasswordHash, n.PasswordShape, tx.Now())
	}
	inserted, err := tx.Exec(`INSERT INTO users (environment_id, id, email, email_key, name, search_text, sort_key, role, state, external_id, password_hash, password_shape, made_at)
		VALUES `+db.Values(len(rows), columns)+` ON CONFLICT (environment_id, email_key) DO NOTHING`, args...)
	return int(inserted), err
}
