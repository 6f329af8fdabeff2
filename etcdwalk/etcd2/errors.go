package etcd2

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	client "go.etcd.io/etcd/client/v2"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// isCode tells whether an answer was an error of etcd with one of these codes.
func isCode(err error, codes ...int) bool {
	refusal, ok := errors.AsType[client.Error](err)
	if !ok {
		return false
	}
	for _, code := range codes {
		if refusal.Code == code {
			return true
		}
	}
	return false
}

// indexOf is the index of the store that an error of etcd tells.
func indexOf(err error) uint64 {
	refusal, _ := errors.AsType[client.Error](err)
	return refusal.Index
}

// unsealed takes the one error out of the list that etcd's client makes, one of
// each endpoint, since there is one.
func unsealed(err error) error {
	if all, ok := errors.AsType[*client.ClusterError](err); ok && len(all.Errors) == 1 {
		return all.Errors[0]
	}
	return err
}

// judge sorts the error of a request into: the caller's own cancellation; one of
// our sentinels, final; etcdwalk.ErrUnavailable, which may pass; or, as it is, an
// answer that nothing is known about. ctx is the caller's.
func (c *Cluster) judge(ctx context.Context, err error) error {
	err = unsealed(err)
	refusal, answered := errors.AsType[client.Error](err)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, ErrTooLarge), errors.Is(err, etcdwalk.ErrInvariant):
		return err
	case errors.Is(err, client.ErrInvalidJSON), errors.Is(err, client.ErrEmptyBody):
		return fmt.Errorf("an answer that cannot be read%.0w", etcdwalk.ErrInvariant)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("etcd at %s: no answer within %s%.0w", c.addresses(), c.cfg.CommandTimeout, etcdwalk.ErrUnavailable)
	case !answered:
		return fmt.Errorf("etcd at %s: %w%.0w", c.addresses(), err, etcdwalk.ErrUnavailable)
	case refusal.Code == client.ErrorCodeRaftInternal, refusal.Code == client.ErrorCodeLeaderElect:
		return fmt.Errorf("etcd at %s: %s%.0w", c.addresses(), refusal.Message, etcdwalk.ErrUnavailable)
	case refusal.Code == client.ErrorCodeUnauthorized, refusal.Code == 0 && isRefusal(refusal.Message):
		if c.cfg.Username == "" {
			return fmt.Errorf("%w: the cluster wants a user, and none is given", etcdwalk.ErrDenied)
		}
		return fmt.Errorf("%w: the cluster refuses user %q and its password, or its rights do not suffice", etcdwalk.ErrDenied, c.cfg.Username)
	}
	return fmt.Errorf("etcd says: %s (code %d)", refusal.Message, refusal.Code)
}

// isRefusal recognises the answers about rights, which have no code of their own
// (etcd: server/etcdserver/api/v2http).
func isRefusal(message string) bool {
	return strings.EqualFold(message, "Insufficient credentials") || strings.EqualFold(message, http.StatusText(http.StatusUnauthorized))
}

// unsent tells whether a request that failed has certainly not reached a server.
func unsent(err error) bool {
	dialling, ok := errors.AsType[*net.OpError](unsealed(err))
	return ok && dialling.Op == "dial"
}
