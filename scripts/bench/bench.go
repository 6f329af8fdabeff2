package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

// historyRounds is how often the keys of H are put.
const historyRounds = 5

// settings are the flags.
type settings struct {
	kubeferry    string
	before       string // another one; "": none
	only         *regexp.Regexp
	rounds       int
	seed         uint64
	small, large int
	quick        bool
	check        bool
	keep         string
	json         string
}

// A bench is one run of the whole.
type bench struct {
	settings settings
	programs programs
	dir      string // of datasets, and of what is written
	identity string // file with the age identity
	public   string // its recipient
	current  *dataset
	archives map[string]string // that this run has made, by dataset
	results  results
}

// Names of figures. Sizes are in bytes, times in seconds.
const (
	wall      = "wall"
	cpu       = "cpu"    // user and system, of all processes of a job
	rss       = "rss"    // the peak of the largest process of a job
	out       = "out"    // bytes of the result
	growth    = "growth" // of the server's anonymous memory, at its peak
	slow      = "slow"   // lines with "took too long" in the server's log
	keys      = "keys"
	rate      = "rate"       // keys a second, the whole of it
	applyRate = "apply_rate" // keys a second, the apply phase alone
	verify    = "verify"     // the steps of a restore, in seconds
	plan      = "plan"
	apply     = "apply"
	back      = "back"    // what was written is read back
	watched   = "watched" // and looked at again
	planned   = "planned" // bytes of the archive that the plan decrypted
	read      = "read"    // bytes of the archive that were read
	flow      = "flow"    // stored bytes a second
	putP50    = "put_p50"
	putP99    = "put_p99"
	getP50    = "get_p50"
	getP99    = "get_p99"
)

// Figures are what one run of a contender gave.
type figures map[string]float64

// A contender is one of those that take turns in a group.
type contender struct {
	name string
	most int // rounds, without a warm-up, if it is slow; 0: as many as the others
	run  func(ctx context.Context) (figures, error)
}

// A group is contenders that run in rotation: A B A B. It is run as one, or not
// at all.
type group struct {
	name  string
	about string
	quick bool // also run when there is little time
	most  int  // rounds, if they are long; 0: as many as were asked for
	cold  bool // no warm-up, since each run begins with a new server
	// contenders prepares the runs.
	contenders func(ctx context.Context, b *bench) ([]contender, error)
}

// runGroup runs the rounds of a group, until it is interrupted. A contender that fails once is out, and
// the others go on.
func (b *bench) runGroup(ctx context.Context, g group) {
	contenders, err := g.contenders(ctx, b)
	if err != nil {
		b.results.fail(g.name, "", err)
		return
	}
	rounds := b.settings.rounds
	if g.most > 0 {
		rounds = min(rounds, g.most)
	}
	first := 0
	if !g.cold {
		first = -1 // the warm-up
	}
	out := map[string]bool{}
	for round := first; round < rounds; round++ {
		for _, c := range contenders {
			if out[c.name] || c.most > 0 && (round >= c.most || round < 0) {
				continue
			}
			f, err := b.once(ctx, c)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				b.results.fail(g.name, c.name, err)
				out[c.name] = true
				continue
			}
			say("%-14s %-28s round %d: %s", g.name, c.name, round+1, f)
			if round >= 0 {
				b.results.add(measurement{Group: g.name, Contender: c.name, Round: round, Figures: f})
			}
		}
	}
}

// once runs a contender on a machine that has written out what others left.
func (b *bench) once(ctx context.Context, c contender) (figures, error) {
	if err := b.clearWork(); err != nil {
		return nil, err
	}
	syscall.Sync()
	time.Sleep(200 * time.Millisecond)
	return c.run(ctx)
}

// work is a file or folder that lasts no longer than one run.
func (b *bench) work(name string) string { return filepath.Join(b.dir, "work", name) }

// clearWork removes what the last run wrote.
func (b *bench) clearWork() error {
	if err := os.RemoveAll(b.work("")); err != nil {
		return err
	}
	return os.MkdirAll(b.work(""), 0o700)
}

// say reports progress.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}
