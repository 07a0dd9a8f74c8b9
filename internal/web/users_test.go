package web_test

import "time"

// patience bounds what a test waits for on a busy machine.
const patience = 20 * time.Second
