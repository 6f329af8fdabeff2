package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/archive"
	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/cmd/ferry/undo"
	"github.com/kubeferry/kubeferry/crypt"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd2"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd3"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/replay/journal"
	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/catalog"
	"github.com/kubeferry/kubeferry/remote/dir"
	"github.com/kubeferry/kubeferry/remote/s3"
)

// sentinels are the errors of every package that can be told apart, with the exit code
// that each leads to (FAULTS.md 2 and the column "code" of 4).
var sentinels = map[string]struct {
	err  error
	code exitCode
}{
	"etcdwalk.ErrUnavailable": {etcdwalk.ErrUnavailable, 15},
	"etcdwalk.ErrDenied":      {etcdwalk.ErrDenied, 17},
	"etcdwalk.ErrInvariant":   {etcdwalk.ErrInvariant, 13},
	"etcdwalk.ErrRefused":     {etcdwalk.ErrRefused, 19},
	"etcdwalk.ErrCompacted":   {etcdwalk.ErrCompacted, 15},
	"etcdwalk.ErrNoSpace":     {etcdwalk.ErrNoSpace, 20},
	// These are of one key: what becomes of it is counted, and ends with 3.
	"etcdwalk.ErrNeedless": {etcdwalk.ErrNeedless, 1},
	"etcdwalk.ErrTooLarge": {etcdwalk.ErrTooLarge, 1},
	"etcdwalk.ErrNoLease":  {etcdwalk.ErrNoLease, 1},
	"etcdwalk.ErrExpired":  {etcdwalk.ErrExpired, 1},

	"connect.ErrConfig":            {connect.ErrConfig, 78},
	"connect.ErrDiscovery":         {connect.ErrDiscovery, 78},
	"connect.ErrInsecureTransport": {connect.ErrInsecureTransport, 19},
	"etcd2.ErrNoAPI":               {etcd2.ErrNoAPI, 15},
	"etcd2.ErrTooLarge":            {etcd2.ErrTooLarge, 19},
	"etcd3.ErrNoAPI":               {etcd3.ErrNoAPI, 15},
	"kube.ErrFilter":               {kube.ErrFilter, 64},
	"kube.ErrUnknownKind":          {kube.ErrUnknownKind, 64},
	"kube.ErrValue":                {kube.ErrValue, 3},        // a selector that could not read it; a restore counts what becomes of it
	"object.ErrUnreadable":         {object.ErrUnreadable, 1}, // an identity tells of it
	"object.ErrNoObject":           {object.ErrNoObject, 1},
	"object.ErrUndecodable":        {object.ErrUndecodable, 1}, // a selector that could not read it; a restore counts what becomes of it
	"object.ErrSealed":             {object.ErrSealed, 12},
	"object.ErrConfig":             {object.ErrConfig, 78},
	"replay.ErrConflict":           {replay.ErrConflict, 18},

	"remote.ErrUnavailable": {remote.ErrUnavailable, 16},
	"remote.ErrDenied":      {remote.ErrDenied, 17},
	"remote.ErrRefused":     {remote.ErrRefused, 19},
	"remote.ErrConfig":      {remote.ErrConfig, 78},
	"remote.ErrNoSpace":     {remote.ErrNoSpace, 20},
	"remote.ErrDigest":      {remote.ErrDigest, 13},
	"remote.ErrCold":        {remote.ErrCold, 16},
	"dir.ErrShared":         {dir.ErrShared, 19},
	"dir.ErrUnfit":          {dir.ErrUnfit, 17},
	"dir.ErrReserved":       {dir.ErrReserved, 18},
	"s3.ErrUnavailable":     {s3.ErrUnavailable, 16},
	"s3.ErrNoBucket":        {s3.ErrNoBucket, 16},
	"s3.ErrNoCredentials":   {s3.ErrNoCredentials, 17},
	"s3.ErrLocked":          {s3.ErrLocked, 17},
	"s3.ErrNoLock":          {s3.ErrNoLock, 78},
	"s3.ErrSkew":            {s3.ErrSkew, 16},
	"s3.ErrPlainHTTP":       {s3.ErrPlainHTTP, 19},

	"catalog.ErrMismatch":     {catalog.ErrMismatch, 14},
	"catalog.ErrReserved":     {catalog.ErrReserved, 10},
	"catalog.ErrReceipt":      {catalog.ErrReceipt, 14},
	"catalog.ErrLabel":        {catalog.ErrLabel, 64},
	"catalog.ErrKeepsNothing": {catalog.ErrKeepsNothing, 64},
	"catalog.ErrAmbiguous":    {catalog.ErrAmbiguous, 64},
	"catalog.ErrDoubt":        {catalog.ErrDoubt, 21},
	"catalog.ErrHidden":       {catalog.ErrHidden, 16},
	"catalog.ErrReceiptLost":  {catalog.ErrReceiptLost, 1}, // beside the error that tells why

	"crypt.ErrKey":          {crypt.ErrKey, 78},
	"crypt.ErrNoMatch":      {crypt.ErrNoMatch, 12},
	"crypt.ErrDamaged":      {crypt.ErrDamaged, 13},
	"crypt.ErrNotEncrypted": {crypt.ErrNotEncrypted, 13},
	"archive.ErrDamaged":    {archive.ErrDamaged, 13},
	"undo.ErrLocked":        {undo.ErrLocked, 11},
	"undo.ErrUnstable":      {undo.ErrUnstable, 3},
	"journal.ErrDamaged":    {journal.ErrDamaged, 13},
	"journal.ErrNoSpace":    {journal.ErrNoSpace, 20},
	"archive.ErrTooNew":     {archive.ErrTooNew, 13},
	"archive.ErrLimit":      {archive.ErrLimit, 19},

	"ferry.ErrEmpty":      {ferry.ErrEmpty, 10},
	"ferry.ErrNoKey":      {ferry.ErrNoKey, 12},
	"ferry.ErrPolicy":     {ferry.ErrPolicy, 14},
	"ferry.ErrIncomplete": {ferry.ErrIncomplete, 3},
	"ferry.ErrCorrupt":    {ferry.ErrCorrupt, 13},
	"ferry.ErrCheck":      {ferry.ErrCheck, 21},
	"ferry.ErrAmbiguous":  {ferry.ErrAmbiguous, 64},
	"ferry.ErrUnlisted":   {ferry.ErrUnlisted, 64},
	"ferry.ErrSeveral":    {ferry.ErrSeveral, 64},

	"fs.ErrExist":            {fs.ErrExist, 18},
	"fs.ErrNotExist":         {fs.ErrNotExist, 10},
	"fs.ErrPermission":       {fs.ErrPermission, 17},
	"fs.ErrInvalid":          {fs.ErrInvalid, 16},
	"console.ErrUsage":       {console.ErrUsage, 64},
	"console.ErrConfig":      {console.ErrConfig, 78},
	"console.ErrInterrupted": {console.ErrInterrupted, 130},
	"console.ErrTimeout":     {console.ErrTimeout, 1},
	"any other":              {errors.New("any other"), 1},
}

// Each sentinel has its exit code, however deep it lies.
func TestEachSentinelHasItsCode(t *testing.T) {
	for name, s := range sentinels {
		deep := errors.Join(fmt.Errorf("doing this: %w", fmt.Errorf("and that: %w", s.err)), errors.New("and something beside"))
		for _, err := range []error{s.err, deep} {
			if got := codeOf(err); got != s.code {
				t.Errorf("%s: got %d, want %d", name, got, s.code)
			}
		}
	}
	if got := codeOf(nil); got != exitDone {
		t.Errorf("no error: got %d", got)
	}
}

// The table of sentinels lists all that the packages export.
func TestNoSentinelIsForgotten(t *testing.T) {
	declared := regexp.MustCompile(`(?m)^(?:var |\t)(Err[A-Z]\w*)\s+(?:error )?=`)
	found := 0
	for _, root := range []string{"../etcdwalk", "../archive", "../crypt", "../remote", "ferry", "console"} {
		check(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			name := filepath.Base(filepath.Dir(path))
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") || name == "walktest" || name == "remotetest" {
				return err
			}
			for _, m := range declared.FindAllStringSubmatch(string(readFile(t, path)), -1) {
				found++
				if _, listed := sentinels[name+"."+m[1]]; !listed {
					t.Errorf("%s declares %s.%s, of which the table does not say what it ends with", path, name, m[1])
				}
			}
			return nil
		}))
	}
	if found < 40 {
		t.Errorf("only %d sentinels were found: the test looks at the wrong place", found)
	}
}

// Of two classes the one that says more decides.
func TestTheGraverClassDecides(t *testing.T) {
	for _, c := range []struct {
		first, second error
		want          exitCode
	}{
		{etcdwalk.ErrUnavailable, etcdwalk.ErrNoSpace, exitNoSpace},
		{remote.ErrUnavailable, etcdwalk.ErrInvariant, exitIntegrity},
		{ferry.ErrIncomplete, replay.ErrConflict, exitConflict},
		{ferry.ErrIncomplete, catalog.ErrReceiptLost, exitIncomplete},
		{catalog.ErrReceiptLost, remote.ErrUnavailable, exitStore},
		{etcdwalk.ErrUnavailable, console.ErrInterrupted, exitInterrupted},
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
		if got := codeOf(console.Interrupted(c.whole, context.Background(), c.err)); got != c.want {
			t.Errorf("%v: got %d, want %d", c.err, got, c.want)
		}
	}
}
