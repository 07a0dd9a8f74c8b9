package password

import (
	"context"
	"crypto/rand"
	"runtime"
	"time"

	"github.com/minio/argon2"
)

// Options sets the pool and the cost of new hashes. Zero values are defaults;
// a cost outside what Verify accepts is moved to the nearest that it does.
type Options struct {
	Workers  int           // hashes at once; default: the cores of the machine
	MaxQueue int           // callers that may wait; default: 256 for each worker
	MaxWait  time.Duration // longest wait for a place; default 850 ms
	Memory   uint32        // argon2id memory in KiB; default 19456 (19 MiB)
	Time     uint32        // argon2id passes over the memory; default 2
	Threads  uint8         // argon2id lanes; default 1
}

// Hasher hashes and verifies passwords in a bounded pool.
// It may be used by many goroutines; a process has one.
type Hasher struct {
	pool  *pool
	cost  costs
	shape string
	sum   idKey
}

// idKey makes argon2id sums of one cost in memory that it keeps for the next:
// to ask for 19 MiB anew each time takes the collector a sixth of a hash and
// doubles the memory of a flood. What is not asked for a while is given back.
type idKey func(plain, salt, secret, data []byte, size uint32) []byte

// Result is the outcome of Verify.
type Result struct {
	OK      bool // the password is the one that was hashed
	Upgrade bool // it is, and should be hashed anew: the stored form is not what Hash makes today
}

const (
	saltBytes = 16
	sumBytes  = 32
)

// NewHasher makes a hasher. It starts no goroutine and needs no closing.
//
// More may wait than can be served in time: refused at once, they would only come
// again at once, and hundreds that are refused and ask again keep everybody else
// from the cores. Whoever waits here in vain is still told within a second.
func NewHasher(o Options) *Hasher {
	o.Workers = orDefault(o.Workers, runtime.NumCPU())
	o.MaxQueue = orDefault(o.MaxQueue, 256*o.Workers)
	o.MaxWait = orDefault(o.MaxWait, 850*time.Millisecond)
	threads := min(int64(orDefault(o.Threads, 1)), maxThreads)
	memory := min(max(int64(orDefault(o.Memory, 19456)), 8*threads), maxMemory)
	passes := min(int64(orDefault(o.Time, 2)), maxMemoryPasses/memory)
	cost := costs{memory, passes, threads}
	return &Hasher{
		pool:  newPool(o.Workers, o.MaxQueue, o.MaxWait),
		cost:  cost,
		shape: shapeOf(argon2id, cost),
		sum:   argon2.NewIDKey(uint32(passes), uint32(memory), uint8(threads)), //nolint:gosec // small, see above
	}
}

func orDefault[T int | uint8 | uint32 | time.Duration](v, fallback T) T {
	if v <= 0 {
		return fallback
	}
	return v
}

// Hash normalises the password and gives its argon2id hash in PHC form. Errors:
// those of Normalise; fault.Unavailable when too many wait; the context's.
func (h *Hasher) Hash(ctx context.Context, plain string) (string, error) {
	normal, err := Normalise(plain)
	if err != nil {
		return "", err
	}
	d := &digest{alg: argon2id, cost: h.cost, salt: random(saltBytes)}
	err = h.pool.run(ctx, func() { d.sum = h.sum([]byte(normal), d.salt, nil, nil, sumBytes) })
	if err != nil {
		return "", err
	}
	return d.encode(), nil
}

// Verify tells whether the password is the one behind a stored hash, in any form
// that Import returns or Hash makes. A password that Normalise refuses matches
// nothing. An empty or malformed hash matches nothing either, after the work of
// one of today's hashes, so that the answer's time does not tell; one that costs
// too much is refused at once. Errors: fault.Unavailable when too many wait; the
// context's.
func (h *Hasher) Verify(ctx context.Context, plain, encoded string) (Result, error) {
	d, err := parse(encoded)
	switch {
	case isCostly(err):
		return Result{}, nil
	case err != nil:
		return Result{}, h.VerifyDecoy(ctx, plain, h.shape)
	}
	return h.verify(ctx, plain, d)
}

// VerifyDecoy does the work of Verify against a hash of this shape (see Shape)
// that nothing matches; a shape that is empty or malformed stands for today's.
// It is what an unknown address costs. Errors are those of Verify.
func (h *Hasher) VerifyDecoy(ctx context.Context, plain, shape string) error {
	d, err := decoy(shape)
	if err != nil {
		d, err = decoy(h.shape)
	}
	if err != nil {
		return err
	}
	_, err = h.verify(ctx, plain, d)
	return err
}

// verify is the one path of true and decoy verification: do not shorten it for
// any password or any hash, or its time tells known addresses from unknown ones.
func (h *Hasher) verify(ctx context.Context, plain string, d *digest) (Result, error) {
	normal, err := Normalise(plain)
	if err != nil {
		return Result{}, nil //nolint:nilerr // such a password was never set, which is an answer
	}
	var asNormal, asTyped bool
	err = h.pool.run(ctx, func() {
		asNormal = h.matches(d, []byte(normal))
		// Other systems hashed what was typed. The second look depends on the
		// typed password alone and happens for decoys, too.
		if plain != normal {
			asTyped = h.matches(d, []byte(plain))
		}
	})
	if err != nil {
		return Result{}, err
	}
	today := d.shape() == h.shape && len(d.salt) == saltBytes && len(d.sum) == sumBytes
	ok := asNormal || asTyped
	return Result{OK: ok, Upgrade: ok && !(today && asNormal)}, nil
}

// matches compares in constant time. Whether a digest is of today's cost depends
// on its shape alone, which a decoy shares.
func (h *Hasher) matches(d *digest, plain []byte) bool {
	if d.alg == argon2id && d.cost == h.cost {
		return equal(h.sum(plain, d.salt, nil, nil, uint32(len(d.sum))), d.sum) //nolint:gosec // parse keeps it small
	}
	return formats[d.alg].matches(d, plain)
}

// Shape gives format and cost of a stored hash, without salt and digest, for
// example "argon2id$m=19456,t=2,p=1". It is no secret. "" if malformed.
func Shape(encoded string) string {
	d, err := parse(encoded)
	if err != nil {
		return ""
	}
	return d.shape()
}

// Shape gives the shape of what Hash makes.
func (h *Hasher) Shape() string { return h.shape }

// Begun tells how many hashes were begun, those of decoys included.
func (h *Hasher) Begun() int64 { return h.pool.begun.Load() }

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails, by its documentation
	return b
}
