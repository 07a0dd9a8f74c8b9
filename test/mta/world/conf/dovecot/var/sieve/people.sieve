# What people have set up for themselves.
require ["envelope", "reject", "vacation", "vacation-seconds"];
if envelope :localpart "to" "refuse" {
  reject "I take mail from people I know, and from nobody else.";
} elsif envelope :localpart "to" "away" {
  vacation :seconds 1 :subject "Not in the office" "I am back on Monday.";
} elsif envelope "to" "forward@dovecot.example" {
  redirect "late@exim.example";
}
