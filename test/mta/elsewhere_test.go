//go:build !linux

package mta

import "testing"

// TestEveryFate: real mail servers need namespaces.
func TestEveryFate(t *testing.T) {
	if !testing.Short() {
		t.Fatal("real mail servers run on Linux alone, as root; go test -short leaves them out")
	}
}
