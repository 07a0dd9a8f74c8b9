package password

import "errors"

// What a stored hash may cost to verify. Everything that common systems use
// fits; anything above would let one imported row stop the server.
const (
	maxEncoded      = 1024      // bytes of text
	maxSalt         = 128       // bytes
	maxSum          = 128       // bytes
	maxMemory       = 128 << 10 // KiB: scrypt at N=2^17, r=8; Django's argon2 takes 100 MiB
	maxMemoryPasses = 768 << 10 // KiB times passes: about a second
	maxThreads      = 16
	maxBcryptCost   = 14 // about a second; 10 to 12 is common
	maxIterations   = 2_000_000
)

var (
	errMalformed = errors.New("malformed password hash")
	errCostly    = errors.New("password hash costs too much")
	errUnknown   = errors.New("unknown form of password hash")
)

func isCostly(err error) bool { return errors.Is(err, errCostly) }

// check looks at cost and sizes before any work.
func (d *digest) check() error {
	f := formats[d.alg]
	if len(d.salt) > maxSalt || len(d.sum) > maxSum || len(d.signer) > maxSum || len(d.separator) > maxSalt {
		return errCostly
	}
	for i := range f.keys {
		if d.cost[i] < 1 {
			return errMalformed
		}
	}
	if err := f.check(d.cost, len(d.sum)); err != nil {
		return err
	}
	if len(d.salt) < f.minSalt || len(d.sum) < f.minSum {
		return errMalformed
	}
	return nil
}

// checkArgon2 follows RFC 9106 section 3.1: at least 8 KiB for each lane.
func checkArgon2(c costs, _ int) error {
	memory, passes, lanes := c[0], c[1], c[2]
	switch {
	case memory > maxMemory || lanes > maxThreads || passes > maxMemoryPasses/memory:
		return errCostly
	case memory < 8*lanes:
		return errMalformed
	}
	return nil
}

func checkBcrypt(c costs, _ int) error {
	switch {
	case c[0] > maxBcryptCost:
		return errCostly
	case c[0] < 4:
		return errMalformed
	}
	return nil
}

// checkScrypt compares the memory, 128 * N * r bytes, and the work, p times that.
func checkScrypt(c costs, _ int) error {
	logN, r, p := c[0], c[1], c[2]
	if logN > 20 || r > 64 || p > 64 {
		return errCostly
	}
	memory := int64(1) << logN * r / 8 // KiB
	if memory > maxMemory || memory*p > maxMemoryPasses {
		return errCostly
	}
	return nil
}

// checkPBKDF2 counts the blocks, too: a sum longer than the hash is made of several.
func checkPBKDF2(size int64) func(costs, int) error {
	return func(c costs, sumLen int) error {
		iterations, length := c[0], c[1]
		if length > maxSum || iterations > maxIterations/((length+size-1)/size) {
			return errCostly
		}
		if length != int64(sumLen) {
			return errMalformed
		}
		return nil
	}
}

func checkNothing(costs, int) error { return nil }
