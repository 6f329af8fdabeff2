package etcd3

import (
	"context"
	"errors"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// Apply implements etcdwalk.Target. The writes go out in transactions of up to
// 128 keys and 1 MiB. After ErrNoSpace, after ErrInvariant, after the retry
// budget is spent, and after ctx is cancelled no more of them is sent: the rest
// is Failed for the same reason. A write whose answer ctx cuts off is Unknown:
// who wants to know gives a context that outlives its own.
func (t *Target) Apply(ctx context.Context, writes []etcdwalk.Write) []etcdwalk.Result {
	a := &application{target: t, writes: writes, results: make([]etcdwalk.Result, len(writes))}
	rest := make([]int, 0, len(writes))
	for i, w := range writes {
		if err := w.Check(); err != nil {
			a.results[i] = etcdwalk.Result{State: etcdwalk.WriteFailed, Err: fmt.Errorf("write key %q: %w", w.Key, err)}
			continue
		}
		rest = append(rest, i)
	}
	for len(rest) > 0 {
		n := t.fit(len(rest), func(i int) int { return len(writes[rest[i]].Key) + len(writes[rest[i]].Value) })
		a.apply(ctx, rest[:n:n])
		rest = rest[n:]
	}
	return a.results
}

// An application is one call of Apply. A batch is a list of places in writes
// and results.
type application struct {
	target  *Target
	writes  []etcdwalk.Write
	results []etcdwalk.Result
	stop    error // why nothing more is sent; nil: it is
}

// apply makes the writes of a batch, in as few transactions as it takes.
func (a *application) apply(ctx context.Context, batch []int) {
	for len(batch) > 0 {
		if a.stop == nil {
			a.stop = ctx.Err()
		}
		if a.stop != nil {
			a.settle(batch, etcdwalk.Result{State: etcdwalk.WriteFailed, Err: a.errorf(batch, a.stop)})
			return
		}
		response, err := a.target.send(ctx, a.of(batch))
		if err != nil {
			a.fail(ctx, batch, err)
			return
		}
		if response.Succeeded {
			a.settle(batch, etcdwalk.Result{State: etcdwalk.WriteApplied, Revision: response.Header.Revision})
			return
		}
		batch = a.raced(batch, response)
	}
}

// of is the writes of a batch.
func (a *application) of(batch []int) []etcdwalk.Write {
	writes := make([]etcdwalk.Write, len(batch))
	for n, i := range batch {
		writes[n] = a.writes[i]
	}
	return writes
}

// keys is the keys of a batch.
func (a *application) keys(batch []int) [][]byte {
	keys := make([][]byte, len(batch))
	for n, i := range batch {
		keys[n] = a.writes[i].Key
	}
	return keys
}

// settle gives each write of a batch the same result.
func (a *application) settle(batch []int, r etcdwalk.Result) {
	for _, i := range batch {
		a.results[i] = r
	}
}

// raced sorts out the writes whose guard failed, by what the transaction says
// it found instead, and returns the others, of which nothing was done.
func (a *application) raced(batch []int, response *pb.TxnResponse) []int {
	var rest []int
	for n, i := range batch {
		var head int64
		if n < len(response.Responses) {
			for _, kv := range response.Responses[n].GetResponseRange().GetKvs() {
				head = kv.ModRevision
			}
		}
		if head == a.writes[i].Seen {
			rest = append(rest, i)
		} else {
			a.results[i] = etcdwalk.Result{State: etcdwalk.WriteRaced}
		}
	}
	if len(rest) < len(batch) {
		return rest
	}
	err := a.errorf(batch, fmt.Errorf("a transaction failed, and all its guards hold%.0w", etcdwalk.ErrInvariant))
	a.settle(batch, etcdwalk.Result{State: etcdwalk.WriteFailed, Err: err})
	return nil
}

// fail deals with the error of a transaction.
func (a *application) fail(ctx context.Context, batch []int, err error) {
	var lost *lostAnswer
	switch {
	case errors.As(err, &lost):
		a.settle(batch, etcdwalk.Result{State: etcdwalk.WriteUnknown, Err: a.errorf(batch, err)})
	case errors.Is(err, etcdwalk.ErrNoSpace):
		a.stop = etcdwalk.ErrNoSpace
		a.noSpace(ctx, batch, err)
	case len(batch) == 1 && errors.Is(err, errTooLarge):
		err = fmt.Errorf("%w; the server's flag --max-request-bytes raises it (%w)", etcdwalk.ErrTooLarge, err)
		a.settle(batch, etcdwalk.Result{State: etcdwalk.WriteFailed, Err: a.errorf(batch, err)})
	case len(batch) > 1 && a.divisible(batch, err):
		a.apply(ctx, batch[:len(batch)/2])
		a.apply(ctx, batch[len(batch)/2:])
	default:
		for _, final := range []error{etcdwalk.ErrUnavailable, etcdwalk.ErrInvariant} {
			if errors.Is(err, final) {
				a.stop = final
			}
		}
		a.settle(batch, etcdwalk.Result{State: etcdwalk.WriteFailed, Err: a.errorf(batch, err)})
	}
}

// divisible tells whether halves of a batch may fare better than the whole,
// and remembers what the server's limits are.
func (a *application) divisible(batch []int, err error) bool {
	switch {
	case errors.Is(err, errTooManyOps):
		a.target.ops.Store(int64(len(batch) / 2))
	case errors.Is(err, errTooLarge):
		size := 0
		for _, i := range batch {
			size += len(a.writes[i].Key) + len(a.writes[i].Value)
		}
		a.target.bytes.Store(int64(size / 2))
	default:
		return errors.Is(err, etcdwalk.ErrNoLease)
	}
	return true
}

// noSpace deals with a full target. etcd checks the quota before it proposes a
// write, and refuses it; and once more when it applies it, and then complains
// although the write took effect. Only the keys tell which it was.
func (a *application) noSpace(ctx context.Context, batch []int, err error) {
	heads, readErr := a.target.Heads(ctx, a.keys(batch))
	err = errors.Join(err, readErr)
	for n, i := range batch {
		state := etcdwalk.WriteFailed
		if readErr != nil || heads[n] != a.writes[i].Seen {
			state = etcdwalk.WriteUnknown
		}
		a.results[i] = etcdwalk.Result{State: state, Err: a.errorf(batch, err)}
	}
}

// errorf names the batch that err is about.
func (a *application) errorf(batch []int, err error) error {
	return fmt.Errorf("write %s: %w", describeKeys(a.keys(batch)), err)
}
