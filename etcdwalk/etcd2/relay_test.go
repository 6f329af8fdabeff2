package etcd2_test

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// A relay is a proxy in front of an etcd. It passes requests on, counts them, and
// does harm by its rules.
type relay struct {
	endpoint string
	upstream string

	mu       sync.Mutex
	rules    []*rule
	requests map[string]int // by method
}

// A rule does harm to requests of a method whose path begins with a prefix, a
// number of times.
type rule struct {
	method, prefix string
	left, fired    int
	harm           func(w http.ResponseWriter, r *http.Request, pass func() answer)
}

// An answer is what the server said.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) write(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // who does not want it any more has gone
}

// newRelay starts a relay. At the end it fails the test for each rule that did no
// harm.
func newRelay(t *testing.T, endpoint string, rules ...*rule) *relay {
	t.Helper()
	r := &relay{upstream: endpoint, rules: rules, requests: map[string]int{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) { r.serve(t, w, request) }))
	r.endpoint = server.URL
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		for _, rule := range r.rules {
			if rule.fired == 0 {
				t.Errorf("the fault of %s %s never came", rule.method, rule.prefix)
			}
		}
	})
	return r
}

func (r *relay) serve(t *testing.T, w http.ResponseWriter, request *http.Request) {
	pass := func() answer { return forward(t, request, r.upstream) }
	if rule := r.rule(request); rule != nil {
		rule.harm(w, request, pass)
		return
	}
	pass().write(w)
}

// rule counts a request, and finds the rule for it.
func (r *relay) rule(request *http.Request) *rule {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests[request.Method]++
	for _, rule := range r.rules {
		if rule.left > 0 && rule.method == request.Method && strings.HasPrefix(request.URL.Path, "/v2/keys"+rule.prefix) {
			rule.left--
			rule.fired++
			return rule
		}
	}
	return nil
}

// count is the number of requests of a method so far.
func (r *relay) count(method string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests[method]
}

func forward(t *testing.T, r *http.Request, endpoint string) answer {
	request, err := http.NewRequestWithContext(r.Context(), r.Method, endpoint+r.URL.RequestURI(), r.Body)
	if err != nil {
		t.Error(err)
		return answer{status: http.StatusBadGateway}
	}
	request.Header = r.Header
	told, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return answer{status: http.StatusBadGateway}
	}
	defer told.Body.Close()
	body, err := io.ReadAll(told.Body)
	if err != nil {
		t.Error(err)
	}
	return answer{told.StatusCode, told.Header, body}
}

// The harms.

// before does something first.
func before(do func()) func(http.ResponseWriter, *http.Request, func() answer) {
	return func(w http.ResponseWriter, _ *http.Request, pass func() answer) {
		do()
		pass().write(w)
	}
}

// lose lets the request take effect, and cuts the connection in place of an answer.
func lose(_ http.ResponseWriter, _ *http.Request, pass func() answer) {
	pass()
	panic(http.ErrAbortHandler)
}

// cut ends the connection in the middle of an answer of known length.
func cut(w http.ResponseWriter, _ *http.Request, pass func() answer) {
	a := pass()
	a.body = a.body[:len(a.body)/2]
	a.write(w)
	panic(http.ErrAbortHandler)
}

// shorten gives half of an answer as if it were the whole.
func shorten(w http.ResponseWriter, _ *http.Request, pass func() answer) {
	a := pass()
	a.body = a.body[:len(a.body)/2]
	a.header.Del("Content-Length")
	a.write(w)
}

// stall gives half of an answer and then nothing.
func stall(w http.ResponseWriter, r *http.Request, pass func() answer) {
	a := pass()
	a.body = a.body[:len(a.body)/2]
	a.write(w)
	_ = http.NewResponseController(w).Flush() // who does not want it any more has gone
	<-r.Context().Done()
}

// instead answers for the server.
func instead(status int, body string) func(http.ResponseWriter, *http.Request, func() answer) {
	return func(w http.ResponseWriter, _ *http.Request, _ func() answer) {
		answer{status, http.Header{"Content-Type": {"application/json"}}, []byte(body)}.write(w)
	}
}

// of says who else answered.
func of(cluster string) func(http.ResponseWriter, *http.Request, func() answer) {
	return func(w http.ResponseWriter, _ *http.Request, pass func() answer) {
		a := pass()
		a.header.Set("X-Etcd-Cluster-Id", cluster)
		a.write(w)
	}
}
