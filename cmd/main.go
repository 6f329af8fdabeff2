// Package cmd is kubeferry's command line: flags, wiring, output and exit
// codes, and nothing else. The stories behind the commands are in cmd/ferry.
//
// Each command is one file with four parts in this order: its options, its
// constructor, what it validates, and its run function. Nothing below this
// package prints or exits.
//
// Data goes to stdout, talk to stderr. A run that succeeds without a terminal
// leaves stderr empty. With --json every line on stdout is an object, and the
// last one carries the exit code.
package cmd

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"

	"google.golang.org/grpc/grpclog"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/flags"
)

// What the garbage collector is told, unless the environment tells it otherwise.
// Buffers are used again and again, so there is little garbage, and collecting
// it early costs little: the heap stays within half as much again as what is
// alive, about 25 MiB, instead of twice that. softMemory, in bytes, is where it
// begins to work harder, when values are as large as etcd takes them.
const (
	gcPercent  = 50
	softMemory = 64 << 20
)

// What it is told where objects are decoded, of which nothing is used again.
const (
	decodingPercent = 300
	decodingMemory  = 256 << 20
)

// leaveRoom lets more garbage lie, as a command that decodes objects makes much of it.
func leaveRoom() { collect(decodingPercent, decodingMemory) }

// collect tells the garbage collector what the environment does not.
func collect(percent int, memory int64) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memory)
	}
}

// Main runs the command line of this process and returns its exit code.
func Main() int {
	collect(gcPercent, softMemory)
	// gRPC's logger is the process's own; what it would say of connections that
	// fail, the drivers say better.
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	// A reader of our output that leaves early is an error of printing: the run
	// ends in order, and not by a signal.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), heeded()...)
	defer stop()
	// The first signal asks for a clean end; a second one kills, as if there
	// were no handler.
	context.AfterFunc(ctx, stop)
	return run(ctx, os.Args[1:], console.System())
}

// heeded are the signals that ask for a clean end: not those that whoever
// started us wants to be ignored, as nohup does.
func heeded() []os.Signal {
	signals := []os.Signal{syscall.SIGTERM}
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			signals = append(signals, s)
		}
	}
	return signals
}

// run executes one command line in sh and returns its exit code.
func run(ctx context.Context, args []string, sh *console.Shell) int {
	s := &flags.Settings{Printer: &console.Printer{Shell: sh}}
	root := newRoot(s)
	root.SetArgs(append([]string{}, args...)) // cobra takes nil for the arguments of the process
	root.SetIn(sh.Stdin)
	root.SetOut(s.Out())
	root.SetErr(sh.Stderr)
	command, err := root.ExecuteContextC(ctx)
	if err != nil && command == root && len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		err = knownCommand(root, args) // it counts before flags that only the other command has
	}
	if err == nil {
		err = s.Succeed(command.Name())
	}
	if err == nil {
		return int(exitDone)
	}
	// A command line that cannot be parsed has not set this flag either.
	s.JSON = s.JSON || errors.Is(err, console.ErrUsage) && wantsJSON(args, sh)
	err = console.Interrupted(ctx, command.Context(), err)
	code := codeOf(err)
	if errors.Is(err, syscall.EPIPE) {
		code = exitFailure // the reader has left early, and knows it
	}
	s.Fail(command.Name(), err, int(code), hintFor(command.Name(), err))
	return int(code)
}

// wantsJSON tells whether --json was typed, or set by its variable.
func wantsJSON(args []string, sh *console.Shell) bool {
	for _, word := range args {
		switch word {
		case "--":
			return false
		case "--json", "--json=true":
			return true
		}
	}
	set, _ := sh.Getenv(flags.Variable("json"))
	on, err := strconv.ParseBool(set)
	return on && err == nil
}
