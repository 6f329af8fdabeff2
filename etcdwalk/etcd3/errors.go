package etcd3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// errTooLarge: an answer exceeds the receive limit, or a request the server's.
var errTooLarge = errors.New("larger than the limit for a message")

// errTooManyOps: a transaction exceeds the server's limit of operations.
var errTooManyOps = errors.New("more operations than the server takes in a transaction")

// tooLargeText is what gRPC's errors about the size of a message have in common.
// Their code is also that of an overloaded server.
const tooLargeText = "message larger than max"

// meanings are the errors of etcd that say something final, in our words.
var meanings = []struct{ etcd, ours error }{
	{rpctypes.ErrCompacted, etcdwalk.ErrCompacted},
	{rpctypes.ErrPermissionDenied, etcdwalk.ErrDenied},
	{rpctypes.ErrAuthFailed, etcdwalk.ErrDenied},
	{rpctypes.ErrUserNotFound, etcdwalk.ErrDenied},
	{rpctypes.ErrCorrupt, etcdwalk.ErrInvariant},
	{rpctypes.ErrNoSpace, etcdwalk.ErrNoSpace},
	{rpctypes.ErrLeaseNotFound, etcdwalk.ErrNoLease},
	{rpctypes.ErrRequestTooLarge, errTooLarge},
	{rpctypes.ErrTooManyOps, errTooManyOps},
}

// passes are the errors of etcd that may be gone at the next attempt, though
// their code does not say so.
var passes = []error{
	rpctypes.ErrInvalidAuthToken, // the client has fetched a new one by now
	rpctypes.ErrAuthOldRevision,
	rpctypes.ErrUserEmpty, // the token is gone; without a user, judge knows better
}

// behind are the errors of a member that serves, but not now: another may.
var behind = []error{
	rpctypes.ErrFutureRev, // it lags
	rpctypes.ErrNoLeader,
	rpctypes.ErrNotLeader,
	rpctypes.ErrTooManyRequests,
	rpctypes.ErrLeaderChanged,
	rpctypes.ErrTimeoutDueToLeaderFail,
	rpctypes.ErrTimeoutDueToConnectionLost,
	rpctypes.ErrTimeout,
	rpctypes.ErrUnhealthy,
}

func isBehind(err error) bool {
	return isOneOf(err, behind) || isDropped(err)
}

// isOneOf tells whether an error is one of those that etcd has names for.
func isOneOf(err error, named []error) bool {
	known := rpctypes.Error(err)
	return slices.ContainsFunc(named, func(n error) bool { return errors.Is(known, n) })
}

// isLearner recognises the refusal of a member without a vote, whose code differs
// between versions.
func isLearner(err error) bool {
	return errors.Is(rpctypes.Error(err), rpctypes.Error(rpctypes.ErrGRPCNotSupportedForLearner))
}

// isForeign recognises answers that no etcd gives, such as those of a balancer
// without a backend, as gRPC puts them (grpc: internal/transport, "unexpected HTTP
// status code", "malformed header", "unexpected content-type").
func isForeign(err error) bool {
	text := status.Convert(err).Message()
	return foreign.MatchString(text) || strings.Contains(text, "malformed header") || strings.Contains(text, "unexpected content-type")
}

var foreign = regexp.MustCompile(`HTTP status code received from server: (\d+)`)

// isTurnedAway tells whether such an answer says for certain that nothing was passed
// on: a page of its own, or a refusal of the request. Others, from 500 on above all,
// may come from behind the one that answers.
func isTurnedAway(err error) bool {
	found := foreign.FindStringSubmatch(status.Convert(err).Message())
	if found == nil {
		return false
	}
	code, _ := strconv.Atoi(found[1]) // three digits
	switch code {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed:
		return true
	}
	return code >= 200 && code < 400
}

// judge sorts the error of a request into: the caller's own cancellation; one
// of our sentinels, final; etcdwalk.ErrUnavailable, which may pass; or, as it
// is, an answer that nothing is known about. ctx is the caller's.
func (c *Cluster) judge(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, errCutOff):
		return err
	case c.cfg.Username == "" && errors.Is(rpctypes.Error(err), rpctypes.ErrUserEmpty):
		return fmt.Errorf("%w: the cluster wants a user, and none is given", etcdwalk.ErrDenied)
	case strings.Contains(status.Convert(err).Message(), tooLargeText):
		return fmt.Errorf("%w: %s", errTooLarge, status.Convert(err).Message())
	case isForeign(err):
		return fmt.Errorf("etcd at %s: %s%.0w", c.addresses(), status.Convert(err).Message(), etcdwalk.ErrUnavailable)
	}
	for _, m := range meanings {
		if errors.Is(rpctypes.Error(err), m.etcd) {
			return fmt.Errorf("%w: %w", m.ours, m.etcd)
		}
	}
	if !mayPass(err) {
		return err
	}
	return fmt.Errorf("etcd at %s: %s%.0w", c.addresses(), words(err, c.cfg.CommandTimeout), etcdwalk.ErrUnavailable)
}

func mayPass(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.ResourceExhausted, codes.Aborted, codes.Internal:
		return true
	}
	return isOneOf(err, passes) || isBehind(err) || isLearner(err)
}

// isDropped recognises raft's refusal to take a proposal, which etcd passes on
// without a code.
func isDropped(err error) bool {
	return status.Convert(err).Message() == "raft proposal dropped"
}

// explain says why no endpoint serves. What gRPC tells of each hides the reason in
// most cases.
func (c *Cluster) explain(ctx context.Context, looks []look) error {
	causes := make([]error, len(looks))
	for i, l := range looks {
		if err := c.judge(ctx, l.err); errors.Is(err, etcdwalk.ErrDenied) {
			if errors.Is(l.err, rpctypes.ErrAuthFailed) {
				return fmt.Errorf("cannot connect to etcd at %s: it refuses user %q and its password: %w", l.endpoint.Text, c.cfg.Username, err)
			}
			return fmt.Errorf("cannot connect to etcd at %s: %w", l.endpoint.Text, err)
		}
		causes[i] = l.cause()
	}
	var old atomic.Bool
	err := c.cfg.Diagnose(ctx, c.endpoints, causes, func(version string) error {
		err := unserved(version, causes)
		old.Store(old.Load() || err != nil)
		return err
	})
	if old.Load() {
		return fmt.Errorf("%w%.0w", err, ErrNoAPI)
	}
	return err
}

// unserved says why an etcd of that version does not serve API v3; nil: it should.
func unserved(version string, causes []error) error {
	major, _, _ := strings.Cut(version, ".")
	if major != "3" {
		return fmt.Errorf("this etcd has version %s, which does not know the v3 API", version)
	}
	for _, cause := range causes {
		if strings.Contains(cause.Error(), "looked like an HTTP/1.1 header") { // so gRPC says it
			return fmt.Errorf("this etcd %s is reached over HTTP/1 only, which does not carry the v3 API", version)
		}
	}
	return nil
}

// ErrNoAPI: an etcd, but API v3 does not reach it. It is an etcdwalk.ErrUnavailable.
var ErrNoAPI = fmt.Errorf("API v3 is not served%.0w", etcdwalk.ErrUnavailable)
