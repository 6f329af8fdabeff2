package connect

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// Try makes a request until it succeeds, fails with anything but an
// etcdwalk.ErrUnavailable, or made no progress for the retry budget. Each attempt
// has a deadline. request must be harmless to repeat, and what, which is logged,
// must name no single key.
func (c Config) Try(ctx context.Context, what string, request func(ctx context.Context) error) error {
	attempt := func() (struct{}, error) {
		attempt, done := context.WithTimeout(ctx, c.CommandTimeout)
		defer done()
		err := request(attempt)
		if err != nil && !errors.Is(err, etcdwalk.ErrUnavailable) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 20*time.Millisecond, 2*time.Second
	_, err := backoff.Retry(ctx, attempt, backoff.WithBackOff(pause), backoff.WithMaxElapsedTime(c.RetryBudget),
		backoff.WithNotify(func(err error, wait time.Duration) {
			c.Log.Info("trying again", "what", what, "in", wait.Round(time.Millisecond), "cause", err)
		}))
	return err
}

// Addresses is the list of endpoints as they were given, for messages.
func Addresses(endpoints []Endpoint) string {
	var texts []string
	for _, e := range endpoints {
		texts = append(texts, e.Text)
	}
	return strings.Join(texts, ", ")
}
