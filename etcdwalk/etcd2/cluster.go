package etcd2

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	client "go.etcd.io/etcd/client/v2"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
)

// DefaultMaxAnswer is the largest answer that is read, in bytes, unless a Cluster
// is dialled with another limit.
const DefaultMaxAnswer = 64 << 20

// A Cluster is a set of endpoints of one etcd cluster. It may be used by several
// goroutines.
type Cluster struct {
	cfg       connect.Config
	endpoints []connect.Endpoint
	members   []client.KeysAPI   // one for each endpoint that serves: a client of several repeats writes
	serving   []connect.Endpoint // these endpoints
	told      sync.Map           // of which of them the user has heard
	transport *transport
	turn      atomic.Int64 // the member that is asked next
	version   string
	id        etcdwalk.ClusterID // what every answer must come from
}

// Dial makes sure that an etcd answers over API v2. It reads no answer of more
// than maxAnswer bytes; 0: [DefaultMaxAnswer]. The error of an endpoint that does
// not serve wraps etcdwalk.ErrUnavailable, or ErrDenied if credentials were
// refused; a configuration that cannot work is a
// connect.ErrConfig, or a connect.ErrInsecureTransport.
func Dial(ctx context.Context, cfg connect.Config, maxAnswer int64) (*Cluster, error) {
	cfg = cfg.WithDefaults()
	endpoints, err := cfg.Parse()
	if err != nil {
		return nil, err
	}
	c := &Cluster{cfg: cfg, endpoints: endpoints}
	if maxAnswer == 0 {
		maxAnswer = DefaultMaxAnswer
	}
	if c.transport, err = newTransport(cfg, endpoints, maxAnswer); err != nil {
		return nil, err
	}
	if err := c.connect(ctx); err != nil {
		c.Close()
		if ctx.Err() != nil {
			return nil, fmt.Errorf("connect to etcd: %w", ctx.Err())
		}
		return nil, err
	}
	cfg.Log.Debug("connected to etcd over API v2", "endpoints", c.addresses(), "version", c.version)
	return c, nil
}

// connect makes the clients and asks each endpoint once. Those that answer must
// be of one cluster; one at least must answer.
func (c *Cluster) connect(ctx context.Context) error {
	password, err := c.cfg.UserPassword()
	if err != nil {
		return err
	}
	asking, done := context.WithTimeout(ctx, c.cfg.DialTimeout)
	defer done()
	greetings := make([]greeting, len(c.endpoints))
	var asked sync.WaitGroup
	for i, e := range c.endpoints {
		one, err := client.New(client.Config{
			Endpoints: []string{e.String()}, Transport: c.transport, Username: c.cfg.Username, Password: password,
			CheckRedirect: func(int) error { return errors.New("the answer leads elsewhere") }, // no credential leaves
		})
		if err != nil {
			return fmt.Errorf("endpoint %s: %w%.0w", e.Text, err, connect.ErrConfig)
		}
		c.members = append(c.members, client.NewKeysAPI(one))
		asked.Go(func() {
			greetings[i] = c.greet(asking, one)
			if err := greetings[i].err; err == nil || errors.Is(err, ErrNoAPI) {
				time.AfterFunc(censusTime, done) // the others have that long
			}
		})
	}
	asked.Wait()
	return c.choose(ctx, greetings)
}

// choose takes the endpoints that serve, and tells of the others.
func (c *Cluster) choose(ctx context.Context, greetings []greeting) error {
	var (
		first   string
		refusal error
		good    []client.KeysAPI
		causes  = make([]error, len(greetings))
	)
	for i, e := range c.endpoints {
		switch g := greetings[i]; {
		case g.err != nil:
			causes[i] = g.err
			refusal = worse(refusal, fmt.Errorf("cannot connect to etcd at %s: %w", e.Text, g.err))
			continue
		case c.id == 0:
			first, c.id, c.version = e.Text, g.id, g.version
		case c.id != g.id:
			return fmt.Errorf("the endpoints %s are of two clusters: %s is of %s, %s is of %s%.0w", c.addresses(), first, c.id, e.Text, g.id, connect.ErrConfig)
		}
		good, c.serving = append(good, c.members[i]), append(c.serving, e)
	}
	switch {
	case len(good) > 0:
	case errors.Is(refusal, etcdwalk.ErrDenied) || errors.Is(refusal, ErrNoAPI):
		return refusal
	default:
		return c.cfg.Diagnose(ctx, c.endpoints, causes, func(string) error { return nil })
	}
	c.members = good
	c.transport.cluster.Store(uint64(c.id))
	ctx, done := context.WithTimeout(ctx, censusTime)
	defer done()
	for i, e := range c.endpoints {
		if causes[i] != nil {
			c.cfg.Warn(e.LeftOut(c.cfg.Reason(ctx, e, causes[i], func(string) error { return nil }).Error()))
		}
	}
	return nil
}

// worse keeps the more telling of two errors: that an endpoint refuses us says
// more than that another does not answer.
func worse(a, b error) error {
	if a == nil || errors.Is(b, etcdwalk.ErrDenied) || errors.Is(b, ErrNoAPI) {
		return b
	}
	return a
}

// ErrNoAPI: an etcd, but without this API. It is an etcdwalk.ErrUnavailable.
var ErrNoAPI = fmt.Errorf("this etcd does not serve API v2 (etcd 3.6 has none, 3.4 and 3.5 need --enable-v2)%.0w", etcdwalk.ErrUnavailable)

// censusTime is how long endpoints are waited for after one has answered: one
// member of three may be down.
const censusTime = time.Second

// A greeting is the first answer of a member.
type greeting struct {
	version string
	id      etcdwalk.ClusterID
	err     error
}

// greet asks a member who it is. What a user may read is not asked for here: the
// rights to one kind do not reach the root.
func (c *Cluster) greet(ctx context.Context, one client.Client) greeting {
	versions, err := one.GetVersion(ctx)
	if err != nil {
		return greeting{err: c.judge(ctx, err)}
	}
	answer, body, err := one.Do(ctx, root{})
	if err != nil {
		return greeting{err: c.judge(ctx, err)}
	}
	defer answer.Body.Close() // read by now
	switch known := json.Valid(body); {
	case answer.StatusCode == http.StatusNotFound && !known: // "404 page not found"
		return greeting{err: ErrNoAPI}
	case answer.StatusCode >= http.StatusInternalServerError, !known:
		return greeting{err: fmt.Errorf("HTTP status %d%.0w", answer.StatusCode, etcdwalk.ErrUnavailable)}
	}
	id, err := clusterID(answer.Header.Get(idHeader))
	return greeting{versions.Server, id, err}
}

// root is the request for the root of the tree. What sends it adds the rest.
type root struct{}

// HTTPRequest is what etcd's client wants of a request.
func (root) HTTPRequest(endpoint url.URL) *http.Request {
	endpoint.Path, endpoint.RawQuery = "/v2/keys/", "quorum=true"
	return &http.Request{Method: http.MethodGet, URL: &endpoint, Header: http.Header{}}
}

// idHeader is the header in which each answer names its cluster.
const idHeader = "X-Etcd-Cluster-Id"

// clusterID reads the id of the cluster that gave an answer.
func clusterID(text string) (etcdwalk.ClusterID, error) {
	id, err := strconv.ParseUint(text, 16, 64)
	if err != nil || id == 0 {
		return 0, fmt.Errorf("an answer names no cluster%.0w", etcdwalk.ErrInvariant)
	}
	return etcdwalk.ClusterID(id), nil
}

// Close ends the connections. The Cluster's views and targets end with it.
func (c *Cluster) Close() { c.transport.close() }

// addresses is the list of endpoints, for messages.
func (c *Cluster) addresses() string { return connect.Addresses(c.endpoints) }

// get reads a node with quorum; nil: there is none. It tries again, with the next
// member, until it succeeds, fails for good, or made no progress for the retry
// budget. key is for the request only: errors do not name it.
func (c *Cluster) get(ctx context.Context, key string, recursive bool) (*client.Response, error) {
	var answer *client.Response
	err := c.cfg.Try(ctx, "reading", func(attempt context.Context) (err error) {
		member, turn := c.member()
		answer, err = member.Get(attempt, key, &client.GetOptions{Recursive: recursive, Quorum: true})
		if isCode(err, client.ErrorCodeKeyNotFound) {
			answer, err = &client.Response{Index: indexOf(err)}, nil
		}
		if err = c.judge(ctx, err); err == nil && answer.Node != nil {
			err = checkAnswer(answer)
		}
		if errors.Is(err, etcdwalk.ErrUnavailable) {
			c.passOver(turn, err)
		}
		return err
	})
	return answer, err
}

// member is the one that is asked at present, and whose turn it is.
func (c *Cluster) member() (client.KeysAPI, int64) {
	turn := c.turn.Load()
	return c.members[turn%int64(len(c.members))], turn
}

// passOver asks the next member, unless somebody else has done so: several requests
// to one that is gone fail together.
// The user hears of each once.
func (c *Cluster) passOver(turn int64, err error) {
	if !c.turn.CompareAndSwap(turn, turn+1) || len(c.members) == 1 {
		return
	}
	at := int(turn % int64(len(c.members)))
	if _, told := c.told.LoadOrStore(at, true); !told {
		c.cfg.Warn(c.serving[at].LeftOut(err.Error()))
	}
}

// checkAnswer makes sure that an answer names the cluster that it comes from, which
// the transport has looked at, and can be of the moment that it claims.
func checkAnswer(answer *client.Response) error {
	if _, err := clusterID(answer.ClusterID); err != nil {
		return err
	}
	if answer.Node == nil {
		return fmt.Errorf("an answer names no node%.0w", etcdwalk.ErrInvariant)
	}
	if answer.Index < answer.Node.ModifiedIndex {
		return fmt.Errorf("an answer of index %d tells of index %d%.0w", answer.Index, answer.Node.ModifiedIndex, etcdwalk.ErrInvariant)
	}
	return nil
}
