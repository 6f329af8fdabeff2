package etcd3

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
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
	{rpctypes.ErrNoSpace, replay.ErrNoSpace},
	{rpctypes.ErrLeaseNotFound, replay.ErrNoLease},
	{rpctypes.ErrRequestTooLarge, errTooLarge},
	{rpctypes.ErrTooManyOps, errTooManyOps},
}

// passes are the errors of etcd that may be gone at the next attempt, though
// their code does not say so.
var passes = []error{
	rpctypes.ErrFutureRev,        // a member that lags behind
	rpctypes.ErrInvalidAuthToken, // the client has fetched a new one by now
	rpctypes.ErrAuthOldRevision,
	rpctypes.ErrUserEmpty, // the token is gone; without a user, judge knows better
	rpctypes.ErrTooManyRequests,
	rpctypes.Error(rpctypes.ErrGRPCNotSupportedForLearner),
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
	case c.cfg.Username == "" && errors.Is(rpctypes.Error(err), rpctypes.ErrUserEmpty):
		return fmt.Errorf("%w: the cluster wants a user, and none is given", etcdwalk.ErrDenied)
	case strings.Contains(status.Convert(err).Message(), tooLargeText):
		return fmt.Errorf("%w: %s", errTooLarge, status.Convert(err).Message())
	}
	for _, m := range meanings {
		if errors.Is(rpctypes.Error(err), m.etcd) {
			return fmt.Errorf("%w: %w", m.ours, m.etcd)
		}
	}
	if !mayPass(err) {
		return err
	}
	reason := status.Convert(err).Message()
	if status.Code(err) == codes.DeadlineExceeded {
		reason = fmt.Sprintf("no answer within %s", c.cfg.CommandTimeout)
	}
	return fmt.Errorf("%w (%s): %s", etcdwalk.ErrUnavailable, c.addresses(), reason)
}

func mayPass(err error) bool {
	for _, p := range passes {
		if errors.Is(rpctypes.Error(err), p) {
			return true
		}
	}
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.ResourceExhausted, codes.Aborted, codes.Internal:
		return true
	}
	return isDropped(err)
}

// isDropped recognises raft's refusal to take a proposal, which etcd passes on
// without a code.
func isDropped(err error) bool {
	return status.Convert(err).Message() == "raft proposal dropped"
}

// explain says why dialling failed, which gRPC hides in most cases.
func (c *Cluster) explain(ctx context.Context, cause error) error {
	if err := c.judge(ctx, cause); errors.Is(err, etcdwalk.ErrDenied) {
		if errors.Is(cause, rpctypes.ErrAuthFailed) {
			return fmt.Errorf("%s refuses user %q and its password: %w", c.addresses(), c.cfg.Username, err)
		}
		return fmt.Errorf("%s: %w", c.addresses(), err)
	}
	var old atomic.Bool
	err := c.cfg.Diagnose(ctx, c.endpoints, errors.New(status.Convert(cause).Message()), func(version string) error {
		major, _, _ := strings.Cut(version, ".")
		switch {
		case major != "3":
			old.Store(true)
			return fmt.Errorf("this etcd has version %s, which does not know the v3 API", version)
		case strings.Contains(cause.Error(), "looked like an HTTP/1.1 header"): // so gRPC says it
			old.Store(true)
			return fmt.Errorf("this etcd %s is reached over HTTP/1 only, which does not carry the v3 API", version)
		}
		return nil
	})
	if old.Load() {
		return fmt.Errorf("%w: %w", ErrNoAPI, err)
	}
	return err
}

// ErrNoAPI: an etcd, but API v3 does not reach it. It comes with an
// etcdwalk.ErrUnavailable.
var ErrNoAPI = errors.New("API v3 is not served")
