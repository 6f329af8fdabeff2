// Command bench measures kubeferry against what people use without it, on etcd
// servers of this machine, with data that it makes up. `make bench` runs it.
// README.md tells how to read what it prints.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// parse reads the flags.
func parse(root string) (settings, error) {
	var s settings
	only := flag.String("only", "", "regular expression: run only these groups")
	list := flag.Bool("list", false, "list the groups, and run none")
	flag.StringVar(&s.kubeferry, "kubeferry", filepath.Join(root, "bin", "kubeferry"), "the program to measure")
	flag.StringVar(&s.before, "before", "", "a kubeferry from before a change, to set this one against")
	flag.IntVar(&s.rounds, "rounds", 5, "rounds, after one to warm up")
	flag.Uint64Var(&s.seed, "seed", 1, "seed of the data")
	flag.IntVar(&s.small, "small", 20_000, "keys of S, and of H, which has them five times")
	flag.IntVar(&s.large, "large", 200_000, "keys of M")
	flag.BoolVar(&s.quick, "quick", false, "only S, in three rounds")
	flag.BoolVar(&s.check, "check", false, "fail if a goal is missed by more than 15 %")
	flag.StringVar(&s.keep, "keep", "", "folder for the databases, kept and used again")
	flag.StringVar(&s.json, "json", "", "file for all measurements")
	flag.Parse()
	if flag.NArg() > 0 {
		return s, fmt.Errorf("what is %q? there are only flags", flag.Arg(0))
	}
	if *list {
		for _, g := range allGroups() {
			fmt.Printf("%-16s %s\n", g.name, g.about)
		}
		return s, flag.ErrHelp
	}
	if s.quick {
		s.rounds = min(s.rounds, 3)
	}
	if s.rounds < 1 {
		return s, errors.New("-rounds: at least one")
	}
	if *only != "" {
		var err error
		if s.only, err = regexp.Compile(*only); err != nil {
			return s, fmt.Errorf("-only: %w", err)
		}
	}
	return s, nil
}

// run measures, and tells.
func run(ctx context.Context) (err error) {
	root, err := findRoot()
	if err != nil {
		return err
	}
	s, err := parse(root)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	b, remove, err := newBench(ctx, s, root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	r := report{
		Machine: thisMachine(), Versions: b.programs.versions(ctx), Begun: time.Now(),
		Seed: s.seed, Keys: [2]int{s.small, s.large}, Rounds: s.rounds,
	}
	b.runAll(ctx)
	r.Seconds, r.results = time.Since(r.Begun).Seconds(), b.results
	r.Goals = judge(&r.results)
	if err := r.write(os.Stdout); err != nil {
		return err
	}
	if s.json != "" {
		if err := r.save(s.json); err != nil {
			return err
		}
	}
	return outcome(ctx, &r, s.check)
}

// outcome is the error that the run ends with, if it does.
func outcome(ctx context.Context, r *report, check bool) error {
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	if n := len(r.Failures); n > 0 {
		return fmt.Errorf("%d of what was run gave no figures", n)
	}
	if missed := r.missed(); check && len(missed) > 0 {
		return fmt.Errorf("missed by more than %.0f %%: %s", slack*100, strings.Join(missed, "; "))
	}
	return nil
}

// newBench finds the programs, makes the folder, and a key pair to encrypt with.
// remove clears away what is not to be kept.
func newBench(ctx context.Context, s settings, root string) (b *bench, remove func() error, err error) {
	b = &bench{settings: s, archives: map[string]string{}, results: results{Skipped: map[string]string{}, Facts: map[string]float64{}}}
	if b.programs, err = findPrograms(ctx, root, s.kubeferry); err != nil {
		return nil, nil, err
	}
	if s.keep == "" {
		b.dir, err = os.MkdirTemp("", "kubeferry-bench-")
		remove = func() error { return os.RemoveAll(b.dir) }
	} else {
		if b.dir, err = filepath.Abs(s.keep); err == nil {
			err = os.MkdirAll(b.dir, 0o700)
		}
		remove = b.clearWork
	}
	if err != nil {
		return nil, nil, err
	}
	if err := b.newKeys(ctx); err != nil {
		return nil, nil, errors.Join(err, remove())
	}
	return b, remove, nil
}

// newKeys makes the key pair of this run.
func (b *bench) newKeys(ctx context.Context) error {
	b.identity = filepath.Join(b.dir, "identity")
	if err := os.RemoveAll(b.identity); err != nil {
		return err
	}
	// --here: a machine that benchmarks may be a node, and this key guards nothing.
	public, err := exec.CommandContext(ctx, b.programs.kubeferry, "keygen", "--here", "--out", b.identity).Output()
	if err != nil {
		return fmt.Errorf("kubeferry keygen: %w", err)
	}
	b.public = strings.TrimSpace(string(public))
	return nil
}
