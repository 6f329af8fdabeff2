package s3proc

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Proxy stands between a client and a server, counts what goes through, and
// does what its rules say. A test whose rule never fired fails, since it has
// shown nothing.
type Proxy struct {
	Endpoint string // where clients connect to

	t     testing.TB
	next  http.Handler
	rules []*rule

	mu       sync.Mutex
	requests []Request
}

// A Request is one that came to the proxy, whatever became of it.
type Request struct {
	Op     string
	Path   string
	Header http.Header
	Sent   int64 // bytes of the answer's body, so far
}

// An Action answers a request, or alters it, or what next answers.
type Action func(w http.ResponseWriter, r *http.Request, next http.Handler)

type rule struct {
	op          string
	first, last int
	seen, hits  int
	act         Action
}

// NewProxy starts a proxy in front of the server, without rules.
func NewProxy(t testing.TB, s *Server) *Proxy {
	t.Helper()
	target, err := url.Parse(s.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{t: t, next: &httputil.ReverseProxy{
		// The host is signed, so it stays the one that the client named.
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		Transport:    insecure(),
	}}
	server := httptest.NewServer(p)
	p.Endpoint = server.URL
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		for _, r := range p.rules {
			if r.hits == 0 {
				t.Errorf("the rule for %s never fired", r.op)
			}
		}
	})
	return p
}

// On lets act answer the requests of an operation, named as S3 names it, from
// the first to the last one, counted from 1 and from now; 0 is no end. The first
// rule that fits is the one that is followed.
func (p *Proxy) On(op string, first, last int, act Action) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = append(p.rules, &rule{op: op, first: first, last: last, act: act})
}

// Through lets all requests that no rule answers pass through wrap first, which is told
// their operation. It is called before the first one comes.
func (p *Proxy) Through(wrap func(op string, w http.ResponseWriter, r *http.Request, next http.Handler)) {
	next := p.next
	p.next = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { wrap(operation(r), w, r, next) })
}

// Requests lists the requests of an operation so far; "": of all.
func (p *Proxy) Requests(op string) []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	var found []Request
	for _, r := range p.requests {
		if op == "" || r.Op == op {
			found = append(found, r)
		}
	}
	return found
}

// ServeHTTP is for the HTTP server alone.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	op := operation(r)
	act := p.choose(op)
	counted := &counter{w, p, p.count(op, r)}
	if act == nil {
		p.next.ServeHTTP(counted, r)
		return
	}
	act(counted, r, p.next)
}

// count notes a request, and returns its number.
func (p *Proxy) count(op string, r *http.Request) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = append(p.requests, Request{Op: op, Path: r.URL.Path, Header: r.Header.Clone()})
	return len(p.requests) - 1
}

func (p *Proxy) choose(op string) Action {
	p.mu.Lock()
	defer p.mu.Unlock()
	var chosen Action
	for _, r := range p.rules {
		if r.op != op {
			continue
		}
		r.seen++
		if chosen == nil && r.seen >= r.first && (r.last == 0 || r.seen <= r.last) {
			r.hits++
			chosen = r.act
		}
	}
	return chosen
}

// operation is what S3 calls the request.
func operation(r *http.Request) string {
	query := r.URL.Query()
	_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case key == "" && query.Has("uploads"):
		return "ListMultipartUploads"
	case key == "" && query.Has("list-type"):
		return "ListObjectsV2"
	case key == "":
		return r.Method + " bucket"
	case query.Has("uploads"):
		return "CreateMultipartUpload"
	case query.Has("uploadId"):
		return map[string]string{
			http.MethodPut: "UploadPart", http.MethodPost: "CompleteMultipartUpload",
			http.MethodDelete: "AbortMultipartUpload", http.MethodGet: "ListParts",
		}[r.Method]
	}
	return map[string]string{
		http.MethodPut: "PutObject", http.MethodGet: "GetObject",
		http.MethodHead: "HeadObject", http.MethodDelete: "DeleteObject",
	}[r.Method]
}

// counter counts the bytes of an answer, before the client has them.
type counter struct {
	http.ResponseWriter
	p *Proxy
	i int
}

func (c *counter) Write(p []byte) (int, error) {
	c.p.mu.Lock()
	c.p.requests[c.i].Sent += int64(len(p))
	c.p.mu.Unlock()
	return c.ResponseWriter.Write(p)
}

// Unwrap is for [http.ResponseController].
func (c *counter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// Refuse answers with an error of S3's, and does not ask the server.
func Refuse(status int, code string) Action {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = io.Copy(io.Discard, r.Body) // as a server does that keeps the connection
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		if r.Method != http.MethodHead {
			_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>said the proxy</Message></Error>", code)
		}
	}
}

// Redirect answers with a redirect, and does not ask the server.
func Redirect(to string) Action {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusTemporaryRedirect)
	}
}

// Reset takes n bytes of the request's body and closes the connection.
func Reset(n int64) Action {
	return func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = io.CopyN(io.Discard, r.Body, n)
		panic(http.ErrAbortHandler)
	}
}

// Stall answers nothing until the client gives up, or for the time given.
func Stall(d time.Duration) Action {
	return func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = io.Copy(io.Discard, r.Body) // else the client's end is not noticed
		select {
		case <-r.Context().Done():
		case <-time.After(d):
		}
		panic(http.ErrAbortHandler)
	}
}

// DropReply lets the server do its work, and closes the connection.
func DropReply(_ http.ResponseWriter, r *http.Request, next http.Handler) {
	next.ServeHTTP(httptest.NewRecorder(), r)
	panic(http.ErrAbortHandler)
}

// AlterRequest alters the body of the request, whose length stays.
func AlterRequest(alter func(body []byte)) Action {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		alter(body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	}
}

// AlterReply alters the header and the body of the answer.
func AlterReply(alter func(header http.Header, body []byte) []byte) Action {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		reply := httptest.NewRecorder()
		next.ServeHTTP(reply, r)
		body := reply.Body.Bytes()
		if r.Method != http.MethodHead {
			reply.Header().Del("Content-Length")
		}
		body = alter(reply.Header(), body)
		for name, values := range reply.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(reply.Code)
		_, _ = w.Write(body) // the client may have gone
	}
}

// Cut sends n bytes of the answer's body, whose length it tells in full, and
// closes the connection.
func Cut(n int) Action {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		AlterReply(func(header http.Header, body []byte) []byte {
			header.Set("Content-Length", strconv.Itoa(len(body)))
			return body[:min(n, len(body))]
		})(w, r, next)
		_ = http.NewResponseController(w).Flush() // the client may have gone
		panic(http.ErrAbortHandler)
	}
}
