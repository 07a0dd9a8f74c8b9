package environment

import "github.com/sparekey/sparekey/internal/password"

// PasswordPolicy says what the password of a user must be here, and what it must
// not hold: the person's and the environment's own words.
func (e Environment) PasswordPolicy(name, email string) password.Policy {
	return password.Policy{MinLength: e.Policy.PasswordMinLength, Context: []string{name, email, e.Name, e.Slug, "Sparekey"}}
}
