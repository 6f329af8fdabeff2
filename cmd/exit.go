package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/archive"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/crypt"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd3"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/catalog"
	"github.com/kubeferry/kubeferry/remote/dir"
)

// An exitCode is kubeferry's answer to the shell. Where meanings coincide the
// numbers are restic's, because wrappers for them exist.
type exitCode int

// The exit codes. kubeferry never chooses 2: the Go runtime exits with it
// after a crash.
const (
	exitDone        exitCode = 0
	exitFailure     exitCode = 1
	exitIncomplete  exitCode = 3
	exitNotFound    exitCode = 10
	exitKey         exitCode = 12
	exitIntegrity   exitCode = 13
	exitPolicy      exitCode = 14
	exitCluster     exitCode = 15
	exitStore       exitCode = 16
	exitDenied      exitCode = 17
	exitConflict    exitCode = 18
	exitGuard       exitCode = 19
	exitNoSpace     exitCode = 20
	exitUsage       exitCode = 64
	exitConfig      exitCode = 78
	exitInterrupted exitCode = 130
)

// Errors that only the command line knows.
var (
	errUsage       = errors.New("wrong usage")
	errConfig      = errors.New("wrong configuration")
	errInterrupted = errors.New("interrupted")
)

// exits is the table of exit codes: the meaning, and the errors that lead to
// it. An error leads to the first row that names one of its causes.
var exits = []struct {
	code    exitCode
	meaning string
	causes  []error
}{
	{exitInterrupted, "interrupted, by whichever signal", []error{errInterrupted}},
	{exitUsage, "wrong usage", []error{errUsage, kube.ErrFilter, kube.ErrUnknownKind, catalog.ErrLabel}},
	{exitConfig, "wrong configuration", []error{errConfig, crypt.ErrKey}},
	{exitKey, "wrong or missing decryption key", []error{crypt.ErrNoMatch, ferry.ErrNoKey}},
	{exitIntegrity, "integrity failure", []error{crypt.ErrDamaged, archive.ErrDamaged, archive.ErrTooNew, etcdwalk.ErrInvariant, remote.ErrDigest}},
	{exitPolicy, "refused by policy", []error{ferry.ErrPolicy, catalog.ErrMismatch, catalog.ErrReceipt}},
	{exitConflict, "conflict, or already exists", []error{replay.ErrConflict, fs.ErrExist}},
	{exitGuard, "refused by a safety guard", []error{replay.ErrRefused, etcd3.ErrInsecureTransport, dir.ErrShared}},
	{exitNoSpace, "no space, or quota exceeded", []error{remote.ErrNoSpace, replay.ErrNoSpace}},
	{exitDenied, "permission denied", []error{etcdwalk.ErrDenied, fs.ErrPermission}},
	{exitNotFound, "backup, store or selected objects not found", []error{ferry.ErrEmpty, fs.ErrNotExist}},
	{exitCluster, "etcd unreachable or unstable", []error{etcdwalk.ErrUnavailable, etcdwalk.ErrCompacted, context.DeadlineExceeded}},
	{exitStore, "storage target unreachable or failing", []error{ferry.ErrStore}},
	{exitIncomplete, "finished, but incomplete: some keys were not done", []error{ferry.ErrIncomplete}},
}

// codeOf maps an error to its exit code.
func codeOf(err error) exitCode {
	if err == nil {
		return exitDone
	}
	for _, row := range exits {
		for _, cause := range row.causes {
			if errors.Is(err, cause) {
				return row.code
			}
		}
	}
	return exitFailure
}

// interrupted marks err as the end of a run that a signal has stopped.
func interrupted(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return fmt.Errorf("%w: %w", errInterrupted, err)
	}
	return err
}

// usagef is an error of wrong usage.
func usagef(format string, args ...any) error {
	return fmt.Errorf("%w%.0w", fmt.Errorf(format, args...), errUsage)
}

// configf is an error of wrong configuration.
func configf(format string, args ...any) error {
	return fmt.Errorf("%w%.0w", fmt.Errorf(format, args...), errConfig)
}

// newExitCodes is the help topic on exit codes.
func newExitCodes() *cobra.Command {
	var b strings.Builder
	b.WriteString("Each command ends with one of these codes; treat unknown ones as failure.\n\n")
	fmt.Fprintf(&b, "%5d  %s\n%5d  %s\n", exitDone, "done: complete, verified and durable", exitFailure, "other failure")
	for code := exitIncomplete; code <= exitInterrupted; code++ {
		for _, row := range exits {
			if row.code == code {
				fmt.Fprintf(&b, "%5d  %s\n", row.code, row.meaning)
			}
		}
	}
	return &cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: b.String()}
}
