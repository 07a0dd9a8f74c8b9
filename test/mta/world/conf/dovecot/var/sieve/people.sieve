# What people have set up for themselves.
require ["envelope", "reject", "vacation", "vacation-seconds"];
if envelope :localpart "to" "refuse" {
  reject "I take mail from people I know, and from nobody else.";
} elsif envelope :localpart "to" "away" {
  vacation :seconds 1 :subject "Not in the office" "I am back on Monday.";
} elsif envelope "to" "forward@dovecot.example" {
  redirect "late@exim.example";
} elsif envelope "to" "disabled@dovecot.example" {
  reject "This mailbox has been disabled.";
} elsif envelope "to" "moved@dovecot.example" {
  reject "Pat has moved. The new address is pat@new.example.";
} elsif envelope "to" "spam@dovecot.example" {
  reject "Message rejected: its content looks like spam.";
}
