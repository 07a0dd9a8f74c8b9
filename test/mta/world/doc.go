// Package world starts real mail servers on one machine, for tests: a relay of
// ours, receivers of several makes whose people have known fates, a name server
// that knows these and nothing else. It runs as root on Linux, in namespaces of
// its own: the machine's files, network and processes are not touched, nothing
// leaves it, and all of it ends with its first process.
//
// A test program calls Run at its start. Run makes the images of the servers if
// they are missing, then runs the program again: once as the first process of
// the world, which starts the servers, and once inside, where Inside is true and
// the tests are run. There every server has an address of its own with the usual
// ports, and names are looked up as anywhere.
package world
