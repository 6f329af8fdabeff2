package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/archive"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/crypt"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/catalog"
	"github.com/kubeferry/kubeferry/remote/dir"
)

// Each class of errors has its exit code (FAULTS.md 2 and the column "code" of
// 4), however deep it lies.
func TestEachClassOfErrorsHasItsCode(t *testing.T) {
	classes := map[error]exitCode{
		etcdwalk.ErrCompacted: 15, etcdwalk.ErrUnavailable: 15, etcdwalk.ErrInvariant: 13, etcdwalk.ErrDenied: 17,
		connect.ErrInsecureTransport: 19,
		etcdwalk.ErrNoSpace:          20, replay.ErrConflict: 18, etcdwalk.ErrRefused: 19,
		remote.ErrNoSpace: 20, remote.ErrDigest: 13, dir.ErrShared: 19,
		catalog.ErrMismatch: 14, catalog.ErrReceipt: 14, catalog.ErrLabel: 64, catalog.ErrKeepsNothing: 64, catalog.ErrAmbiguous: 64, catalog.ErrDoubt: 21, ferry.ErrCheck: 21,
		crypt.ErrNoMatch: 12, crypt.ErrDamaged: 13, crypt.ErrNotEncrypted: 13, crypt.ErrKey: 78,
		archive.ErrDamaged: 13, archive.ErrTooNew: 13,
		ferry.ErrEmpty: 10, ferry.ErrNoKey: 12, ferry.ErrPolicy: 14, ferry.ErrIncomplete: 3, ferry.ErrStore: 16,
		kube.ErrFilter: 64, kube.ErrUnknownKind: 64,
		fs.ErrExist: 18, fs.ErrNotExist: 10, fs.ErrPermission: 17,
		errUsage: 64, errConfig: 78, errInterrupted: 130, errTimeout: 1,
		errors.New("any other"): 1,
	}
	for err, want := range classes {
		deep := errors.Join(fmt.Errorf("doing this: %w", fmt.Errorf("and that: %w", err)), errors.New("and something beside"))
		for _, err := range []error{err, deep} {
			if got := codeOf(err); got != want {
				t.Errorf("%v: got %d, want %d", err, got, want)
			}
		}
	}
	if got := codeOf(nil); got != exitDone {
		t.Errorf("no error: got %d", got)
	}
}

// Of two classes the one that says more decides.
func TestTheGraverClassDecides(t *testing.T) {
	for _, c := range []struct {
		first, second error
		want          exitCode
	}{
		{etcdwalk.ErrUnavailable, etcdwalk.ErrNoSpace, exitNoSpace},
		{ferry.ErrStore, etcdwalk.ErrInvariant, exitIntegrity},
		{ferry.ErrIncomplete, replay.ErrConflict, exitConflict},
		{ferry.ErrIncomplete, catalog.ErrReceiptLost, exitIncomplete},
		{catalog.ErrReceiptLost, ferry.ErrStore, exitStore},
		{etcdwalk.ErrUnavailable, errInterrupted, exitInterrupted},
		{etcdwalk.ErrUnavailable, etcdwalk.ErrDenied, exitDenied},
	} {
		for _, err := range []error{errors.Join(c.first, c.second), errors.Join(c.second, c.first)} {
			if got := codeOf(err); got != c.want {
				t.Errorf("%q: got %d, want %d", err, got, c.want)
			}
		}
	}
}

// Only the end of the whole run is an interrupt, and only its own timeout one.
func TestInterruptsAreToldFromOtherCancellations(t *testing.T) {
	stopped, cancel := context.WithCancel(context.Background())
	cancel()
	failed := fmt.Errorf("reading: %w", context.Canceled)
	for _, c := range []struct {
		whole context.Context
		err   error
		want  exitCode
	}{
		{stopped, failed, exitInterrupted},
		{context.Background(), failed, exitFailure},
		{stopped, etcdwalk.ErrDenied, exitDenied},
		{stopped, fmt.Errorf("%w%.0w", etcdwalk.ErrDenied, context.Canceled), exitInterrupted}, // a restore that came to both
		{context.Background(), fmt.Errorf("%w%.0w", etcdwalk.ErrDenied, context.Canceled), exitDenied},
		{stopped, nil, exitDone},
	} {
		if got := codeOf(interrupted(c.whole, context.Background(), c.err)); got != c.want {
			t.Errorf("%v: got %d, want %d", c.err, got, c.want)
		}
	}
}

// K-6: a secret does not print itself, in whichever way it is asked.
func TestASecretDoesNotPrintItself(t *testing.T) {
	const word = "canary-hunter2"
	s := secret{word}
	nested := struct {
		Password secret
		Pointer  *secret
		List     []secret
		Map      map[string]secret
	}{s, &s, []secret{s}, map[string]secret{"a": s}}
	var shown strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&shown, verb+verb+verb, s, &s, nested)
	}
	fmt.Fprintln(&shown, s, nested, errors.New(fmt.Sprint(s)))
	for _, v := range []any{s, &s, nested} {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		shown.Write(b)
	}
	text, err := s.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	shown.Write(text)
	for _, handler := range []slog.Handler{slog.NewTextHandler(&shown, nil), slog.NewJSONHandler(&shown, nil)} {
		slog.New(handler).Info("with", "secret", s, "nested", nested, slog.Any("pointer", &s), slog.Group("g", "secret", s))
	}
	if found := (canaries{"the secret": word}).found(shown.String()); len(found) > 0 {
		t.Errorf("it shows %q:\n%s", found, shown.String())
	}
	if n := strings.Count(shown.String(), redacted); n < 40 {
		t.Errorf("it says %s %d times:\n%s", redacted, n, shown.String())
	}
	if s.reveal() != word {
		t.Errorf("it reveals %q", s.reveal())
	}
}
