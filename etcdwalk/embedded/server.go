package embedded

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const (
	// startTimeout bounds Start. A member alone is ready in a fraction of a
	// second, a very slow disk aside.
	startTimeout = 30 * time.Second
	// quota is what etcd's documents call the largest sensible database.
	quota = 8 << 30
	// maxRequest is ten times etcd's default: clusters that store more than
	// 1.5 MiB under a key have raised theirs.
	maxRequest = 16 << 20
)

// The reasons why a member does not get ready.
var (
	errSlow    = fmt.Errorf("not ready after %s", startTimeout)
	errStopped = errors.New("the member stopped by itself")
)

// A Server is an etcd member that runs inside the process, on its own.
type Server struct {
	endpoint string
	close    func() error
}

// Start runs a new, empty etcd with its data in the folder "etcd" below dir,
// which it makes with mode 0700; dir itself is made the same way if it is
// missing. A folder "etcd" that is there already is refused with fs.ErrExist.
//
// Start returns when the member takes requests. It gives up when ctx ends, or
// after 30 seconds, and then leaves nothing running. The context has no bearing
// on the Server afterwards.
func Start(ctx context.Context, dir string) (*Server, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, errSlow)
	defer cancel()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("start the embedded etcd: %w", context.Cause(ctx))
	}
	data := filepath.Join(dir, "etcd")
	if err := makeFolder(dir, data); err != nil {
		return nil, fmt.Errorf("make the embedded etcd's folder: %w", err)
	}
	etcd, err := launch(data)
	if err != nil {
		return nil, fmt.Errorf("start the embedded etcd in %s: %w", data, err)
	}
	if err := awaitReady(ctx, etcd); err != nil {
		// Close alone would wait for the readiness that does not come.
		etcd.Server.Stop()
		etcd.Close()
		return nil, fmt.Errorf("start the embedded etcd in %s: %w", data, err)
	}
	return &Server{
		endpoint: "http://" + etcd.Clients[0].Addr().String(),
		close:    sync.OnceValue(func() error { return shutDown(etcd) }),
	}, nil
}

// Endpoint is the URL that clients connect to, "http://127.0.0.1:PORT". The
// member list names another one, so clients must not synchronise with it.
func (s *Server) Endpoint() string { return s.endpoint }

// Close stops the member and waits until its goroutines have ended and its
// port is free. Requests that are under way get a few seconds to finish, so
// close clients first. Close returns what went wrong while the member ran;
// further calls return the same.
func (s *Server) Close() error { return s.close() }

// makeFolder makes data anew, so that only one Server can ever own it.
func makeFolder(dir, data string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.Mkdir(data, 0o700)
}

// launch starts etcd. What etcd calls fatal becomes an error.
func launch(data string) (etcd *embed.Etcd, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("etcd refuses: %v", reason)
		}
	}()
	return embed.StartEtcd(config(data))
}

func config(data string) *embed.Config {
	loopback := url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	cfg := embed.NewConfig()
	cfg.Dir = data
	cfg.ListenClientUrls = []url.URL{loopback}
	cfg.AdvertiseClientUrls = []url.URL{loopback}
	// Nobody joins, so nobody needs to be listened to. The advertised URL is
	// only a name, from which the token makes a cluster id that is unique.
	cfg.ListenPeerUrls = nil
	cfg.AdvertisePeerUrls = []url.URL{loopback}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.InitialClusterToken = rand.Text()
	// Without other members the election is a formality: have it at once.
	cfg.TickMs, cfg.ElectionMs = 10, 100
	cfg.QuotaBackendBytes = quota
	cfg.MaxRequestBytes = maxRequest
	cfg.EnableGRPCGateway = false // it would dial the port that it was told, 0
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(silent())
	return cfg
}

// silent is a logger that says nothing. On a fatal entry a silent zap logger
// would still end the process, without a word; this one panics with the entry.
func silent() *zap.Logger {
	return zap.NewNop().WithOptions(zap.WithFatalHook(zapcore.WriteThenPanic))
}

func awaitReady(ctx context.Context, etcd *embed.Etcd) error {
	select {
	case <-etcd.Server.ReadyNotify():
		return context.Cause(ctx) // both may have come
	case <-etcd.Server.StopNotify():
		return errStopped
	case err := <-etcd.Err():
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// shutDown closes etcd, which closes its channel of errors.
func shutDown(etcd *embed.Etcd) error {
	etcd.Close()
	var errs []error
	for err := range etcd.Err() {
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("run the embedded etcd: %w", err)
	}
	return nil
}
