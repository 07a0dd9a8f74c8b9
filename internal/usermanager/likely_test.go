package usermanager

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/user"
)

func TestALikelyAddressIsNearTheNameOrALargeDomain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ email, name, want string }{
		{"jane.deo@acme.example", "Jane Doe", "jane.doe@acme.example"},
		{"jane.doe@acme.example", "Jane Doe", ""},
		{"janedoe@acme.example", "Jane Doe", ""},
		{"jdoe@acme.example", "Jane Doe", ""},
		{"jane@gmial.com", "Jane Doe", "jane@gmail.com"},
		{"jane@gmail.con", "Jane Doe", "jane@gmail.com"},
		{"jane@gmail.com", "Jane Doe", ""},
		{"jane@hotmial.co.uk", "Jane", "jane@hotmail.co.uk"},
		{"daniel.oconor@acme.example", "Daniel O’Connor", "daniel.oconnor@acme.example"},
		{"ines.mueller@acme.example", "Ines Müller", ""},
		{"tomas.ferreira@acme.example", "Tomás Ferreira", ""},
		{"office@acme.example", "Front Desk", ""},
		{"inject@acme.example", "User Inject", ""},
		{"smith@acme.example", "John Smith", ""},
		{"jane@mail.com", "Jane", ""},
		{"jane@yahoo.ca", "Jane", ""},
		{"jane@hotmail.fr", "Jane", ""},
	} {
		require.Equal(t, c.want, likelyAddress(user.User{Email: c.email, EmailKey: c.email, Name: c.name}), c.email)
	}
}
