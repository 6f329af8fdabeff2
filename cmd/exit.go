package cmd

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/kubeferry/kubeferry/archive"
	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/cmd/ferry/undo"
	"github.com/kubeferry/kubeferry/crypt"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/replay/journal"
	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/catalog"
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
	exitLocked      exitCode = 11
	exitKey         exitCode = 12
	exitIntegrity   exitCode = 13
	exitPolicy      exitCode = 14
	exitCluster     exitCode = 15
	exitStore       exitCode = 16
	exitDenied      exitCode = 17
	exitConflict    exitCode = 18
	exitGuard       exitCode = 19
	exitNoSpace     exitCode = 20
	exitCheck       exitCode = 21
	exitUsage       exitCode = 64
	exitConfig      exitCode = 78
	exitInterrupted exitCode = 130
)

// An exit is one row of the table of exit codes.
type exit struct {
	code    exitCode
	meaning string
	causes  []error
}

// exits is the table of exit codes: the meaning, and the classes of errors that lead
// to it. An error leads to the first row that names one of its classes, and one
// without a class to a failure.
var exits = []exit{
	{exitDone, "done: complete, verified and durable", nil},
	{exitFailure, "other failure", []error{console.ErrTimeout}},
	{exitInterrupted, "interrupted by a signal, or the prompt was declined", []error{console.ErrInterrupted}},
	{exitUsage, "wrong usage", []error{console.ErrUsage, kube.ErrFilter, kube.ErrUnknownKind, catalog.ErrLabel, catalog.ErrKeepsNothing, catalog.ErrAmbiguous, ferry.ErrAmbiguous, ferry.ErrUnlisted, ferry.ErrSeveral}},
	{exitConfig, "wrong configuration", []error{console.ErrConfig, crypt.ErrKey, connect.ErrConfig, remote.ErrConfig, object.ErrConfig}},
	{exitKey, "wrong or missing decryption key", []error{crypt.ErrNoMatch, ferry.ErrNoKey, object.ErrSealed}},
	{exitIntegrity, "integrity failure", []error{crypt.ErrDamaged, archive.ErrDamaged, journal.ErrDamaged, archive.ErrTooNew, etcdwalk.ErrInvariant, remote.ErrDigest}},
	{exitPolicy, "refused by policy", []error{ferry.ErrPolicy, catalog.ErrMismatch, catalog.ErrReceipt}},
	{exitConflict, "conflict, or already exists", []error{replay.ErrConflict, fs.ErrExist}},
	{exitGuard, "refused by a safety guard", []error{etcdwalk.ErrRefused, remote.ErrRefused, archive.ErrLimit}},
	{exitNoSpace, "no space, or quota exceeded", []error{remote.ErrNoSpace, etcdwalk.ErrNoSpace, journal.ErrNoSpace}},
	{exitDenied, "permission denied", []error{etcdwalk.ErrDenied, remote.ErrDenied, fs.ErrPermission}},
	{exitLocked, "another run holds the lock", []error{undo.ErrLocked}},
	{exitNotFound, "backup, store or selected objects not found", []error{ferry.ErrEmpty, fs.ErrNotExist}},
	{exitCluster, "etcd unreachable or unstable", []error{etcdwalk.ErrUnavailable, etcdwalk.ErrCompacted, context.DeadlineExceeded}},
	{exitStore, "storage target unreachable or failing", []error{remote.ErrUnavailable, fs.ErrInvalid}},
	{exitCheck, "check failed, or prune cannot tell what is safe to remove", []error{ferry.ErrCheck, catalog.ErrDoubt}},
	{exitIncomplete, "finished, but incomplete: some keys or archives were not done", []error{ferry.ErrIncomplete, undo.ErrUnstable, kube.ErrValue}},
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

// exitCodesOf is where a command remembers the codes that it can end with.
const exitCodesOf = "exit codes"

// ends are the codes that a command can end with, for its help: these, and those that
// every command has.
func ends(codes ...exitCode) map[string]string {
	codes = append(codes, exitDone, exitFailure, exitUsage, exitConfig, exitInterrupted)
	slices.Sort(codes)
	var words []string
	for _, code := range codes {
		words = append(words, strconv.Itoa(int(code)))
	}
	return map[string]string{exitCodesOf: strings.Join(words, " ")}
}

// byCode is the table of exit codes in the order of the codes.
func byCode() []exit {
	rows := slices.Clone(exits)
	slices.SortFunc(rows, func(a, b exit) int { return int(a.code - b.code) })
	return rows
}
