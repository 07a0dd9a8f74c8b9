package diagnosis

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAForwardsDeadEnd is not said of the person's own address.
func TestAForwardsDeadEnd(t *testing.T) {
	t.Parallel()
	told := func(recipient string) Diagnosis {
		b := bounce(3, NoSuchMailbox, true)
		b.Recipient = recipient
		return Judge(Story{Name: "Jane Doe", Address: "jane@acme.example", Guess: "j.doe@acme.example", Mails: []Mail{taken("1", 0, 1).with(b)}}, at(4))
	}
	d := told("jane@home.example")
	require.Equal(t, "jane@acme.example passes its mail on to jane@home.example. home.example says there is no mailbox jane@home.example.", d.Sentence)
	require.Equal(t, StepGiveLink, d.Button.Step, "the address on file is right")
	require.Contains(t, told("janet@acme.example").Sentence, "passes its mail on to janet@acme.example")
	for _, own := range []string{"", "Jane@ACME.example", "<jane@acme.example>", "jane@mx1.acme.example", "/O=ACME/CN=JANE", "jane", "@acme.example", "jane @home.example"} {
		d := told(own)
		require.Equal(t, "acme.example says there is no mailbox jane@acme.example. Did you mean j.doe@acme.example?", d.Sentence, own)
		require.Equal(t, StepCorrect, d.Button.Step)
	}
}

// TestTheCodeAlone is offered where it was not tried, and announced where it is under way.
func TestTheCodeAlone(t *testing.T) {
	t.Parallel()
	story := func(m Mail) Story { return Story{Name: "Jane Doe", Address: "jane@acme.example", Mails: []Mail{m}} }
	require.Equal(t, StepSendCode, Judge(story(taken("1", 0, 1).with(bounce(3, RefusedContent, false))), at(4)).Button.Step)
	require.Equal(t, StepGiveLink, Judge(story(refused("1", 0, RefusedContent, false)), at(4)).Button.Step, "it was refused as well")
}
