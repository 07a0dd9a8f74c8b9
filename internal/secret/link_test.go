package secret

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const env = "0198c1d2-0000-7000-8000-000000000001"

func TestALinkReadsTheSameHoweverItIsHandedOver(t *testing.T) {
	t.Parallel()
	key := NewKey().Derive(Reset)
	id := NewLinkID()
	link := SignLink(key, 7, id, env)
	require.Len(t, link, LinkLength)
	for name, text := range map[string]string{
		"as made":               link,
		"lower case":            strings.ToLower(link),
		"look-alikes":           strings.NewReplacer("0", "o", "1", "l").Replace(link),
		"broken line":           link[:20] + "\r\n" + link[20:],
		"quoted-printable":      link[:20] + "=\r\n" + link[20:],
		"quoted broken line":    link[:20] + "\r\n> " + link[20:],
		"end of a sentence":     link + ".",
		"in brackets":           "<" + "https://login.example/acme/reset-password/" + link + ">",
		"with soft hyphens":     link[:8] + "\u00ad" + link[8:],
		"whole address, spaces": "  https://login.example/acme/reset-password/" + link + "/ ",
	} {
		got, problem := ParseLink(text)
		require.Equal(t, Fine, problem, name)
		require.Equal(t, id, got.ID, name)
		require.EqualValues(t, 7, got.KeyID, name)
		require.True(t, got.Genuine(key, env), name)
	}
}

func TestALinkOfAnotherPlacePurposeOrKeyIsRefused(t *testing.T) {
	t.Parallel()
	ring := NewKey()
	link, problem := ParseLink(SignLink(ring.Derive(Reset), 1, NewLinkID(), env))
	require.Equal(t, Fine, problem)
	require.False(t, link.Genuine(ring.Derive(Reset), "0198c1d2-0000-7000-8000-000000000002"), "environment")
	require.False(t, link.Genuine(ring.Derive(Invite), env), "purpose")
	require.False(t, link.Genuine(NewKey().Derive(Reset), env), "key")
}

func TestABrokenLinkSaysHow(t *testing.T) {
	t.Parallel()
	link := SignLink(NewKey().Derive(Reset), 1, NewLinkID(), env)
	for text, want := range map[string]Problem{
		"":                          Incomplete,
		link[:39]:                   Incomplete,
		link[:12]:                   Incomplete,
		link + "A":                  Damaged,
		"u" + link[1:]:              Damaged,
		strings.Repeat("A", 3000):   Damaged,
		"%%%":                       Damaged,
		"\x00" + link[1:]:           Damaged,
		"\xff\xfe" + link[2:]:       Damaged,
		"../../etc/passwd" + "\x00": Damaged,
	} {
		_, problem := ParseLink(text)
		require.Equal(t, want, problem, "%q", text)
	}
}

// FuzzOneCharacter: a change of any character to one that does not read the
// same is always refused.
func FuzzOneCharacter(f *testing.F) {
	key := Key{1, 2, 3}.Derive(Reset)
	f.Add(uint8(3), uint64(99), uint8(5), "x")
	f.Fuzz(func(t *testing.T, keyID uint8, number uint64, at uint8, with string) {
		var id LinkID
		for i := range id {
			id[i] = byte(number >> (8 * i))
		}
		link := SignLink(key, keyID, id, env)
		i := int(at) % LinkLength
		changed := link[:i] + with + link[i+1:]
		got, problem := ParseLink(changed)
		if problem != Fine {
			return
		}
		same := readAlike(changed) == link
		if got.Genuine(key, env) != same {
			t.Fatalf("%q for %q at %d: genuine=%v", with, link[i:i+1], i, !same)
		}
	})
}

func FuzzParseLink(f *testing.F) {
	key := Key{1, 2, 3}.Derive(Reset)
	f.Add("https://x/acme/reset-password/" + SignLink(Key{9}.Derive(Reset), 1, LinkID{1}, env))
	f.Fuzz(func(t *testing.T, text string) {
		got, problem := ParseLink(text)
		if problem == Fine && got.Genuine(key, env) {
			t.Fatalf("forged %q", text)
		}
		if !utf8.ValidString(string(problem)) {
			t.Fatal("problem is not a word")
		}
	})
}

func TestCodesAreReadAsTyped(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var id LinkID
		copy(id[:], rapid.SliceOfN(rapid.Byte(), idSize, idSize).Draw(t, "id"))
		code := Code(Key{1}.Derive(CodeOf), id, env)
		require.Len(t, code, CodeDigits)
		require.Equal(t, code, ReadCode(code))
		require.Equal(t, code, ReadCode(" "+code[:4]+"-"+code[4:]+"\n"))
		require.Equal(t, code, ReadCode("Code: "+code+"."))
	})
	require.Equal(t, "12345678", ReadCode("１２３４５６７８"))
	for _, bad := range []string{"", "1234567", "123456789", "1234567a", strings.Repeat("1", 100)} {
		require.Empty(t, ReadCode(bad), bad)
	}
}

func TestSealedKeysOpenOnlyWithTheirMasterAndPlace(t *testing.T) {
	t.Parallel()
	master, ring := NewKey(), NewKey()
	sealed := master.Seal(ring, "key 1")
	got, err := master.Unseal(sealed, "key 1")
	require.NoError(t, err)
	require.Equal(t, ring, got)
	_, err = master.Unseal(sealed, "key 2")
	require.Error(t, err)
	_, err = NewKey().Unseal(sealed, "key 1")
	require.Error(t, err)
	again, err := ParseKeyFile(master.KeyFile())
	require.NoError(t, err)
	require.Equal(t, master, again)
	_, err = ParseKeyFile("sparekey-master-key-1 abc")
	require.Error(t, err)
}

func TestSignedPartsDoNotRunTogether(t *testing.T) {
	t.Parallel()
	key := NewKey().Derive(Browser)
	mac := Sign(key, "a", "bc")
	require.True(t, Signed(key, mac, "a", "bc"))
	require.False(t, Signed(key, mac, "ab", "c"))
	require.False(t, Signed(key, mac, "a", "bc", ""))
	require.False(t, Signed(key, "", "a", "bc"))
}
