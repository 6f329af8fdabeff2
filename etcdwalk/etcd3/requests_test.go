package etcd3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/protobuf/proto"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd3"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// A talk is what a walk asks a server for, and how far each answer reaches.
type talk struct {
	mu       sync.Mutex
	requests []*pb.RangeRequest
	reach    [][]byte // behind the last key of the answer; nil: there is no more
	counts   []int64  // of the keys in the range, whatever the limit was
}

// over listens at a relay.
func (k *talk) over(r *relay) *talk {
	r.received = func(method string, message []byte) {
		if method != "Range" {
			return
		}
		request := &pb.RangeRequest{}
		if err := proto.Unmarshal(message, request); err != nil {
			panic(err)
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		k.requests = append(k.requests, request)
	}
	r.answered = func(_ context.Context, method string, _ int, message []byte) ([]byte, error) {
		if method != "Range" {
			return message, nil
		}
		answer := &pb.RangeResponse{}
		if err := proto.Unmarshal(message, answer); err != nil {
			return nil, err
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		var reach []byte
		if answer.More {
			reach = append(bytes.Clone(answer.Kvs[len(answer.Kvs)-1].Key), 0)
		}
		k.reach, k.counts = append(k.reach, reach), append(k.counts, answer.Count)
		return message, nil
	}
	return k
}

// TestRequests: WK1 and WK2 on the wire. The first request pins, and the others
// keep to its revision and leave no gap.
func TestRequests(t *testing.T) {
	server, client := served(t, etcdproc.V36, generate(3000, 2000))
	r := newRelay(t, server.Endpoint)
	told := new(talk).over(r)
	var journal journal
	v := pin(t, connect.Config{Endpoints: []string{r.endpoint}, Log: journal.log()})
	wantWhole(t, v, client, nil)
	if len(told.requests) < 6 || len(told.reach) != len(told.requests) {
		t.Fatalf("%d requests, %d answers", len(told.requests), len(told.reach))
	}
	first, count, pages := told.requests[0], told.requests[1], told.requests[2:]
	if !first.CountOnly || first.Serializable || first.Revision != 0 {
		t.Errorf("the first request is %v, want a linearizable count of the present revision", first)
	}
	if whole := (&pb.RangeRequest{Key: []byte{0}, RangeEnd: []byte{0}, Revision: v.Info().Revision, CountOnly: true}); !proto.Equal(count, whole) {
		t.Errorf("the second request is %v, want %v", count, whole)
	}
	next := count.Key
	for i, q := range pages {
		plain := &pb.RangeRequest{Key: next, RangeEnd: q.RangeEnd, Revision: v.Info().Revision, Limit: q.Limit}
		if !proto.Equal(q, plain) || q.Limit <= 0 {
			t.Errorf("page %d is asked for with %v, want %v", i, q, plain)
		}
		if next = told.reach[i+2]; next == nil {
			next = q.RangeEnd
		}
	}
	if !bytes.Equal(next, count.RangeEnd) {
		t.Errorf("the pages reach to %q", next)
	}
	var passed int64
	for _, n := range told.counts[2:] {
		passed += n
	}
	journal.want(t, fmt.Sprintf("keys=3000 pages=%d passed=%d", len(pages), passed))
}

// TestShortPages: a short page is not the end (STYLE.md 6).
func TestShortPages(t *testing.T) {
	server, client := served(t, etcdproc.V36, generate(500, 100))
	r := newRelay(t, server.Endpoint)
	var short atomic.Int64
	r.answered = func(_ context.Context, method string, _ int, message []byte) ([]byte, error) {
		answer := &pb.RangeResponse{}
		if method != "Range" {
			return message, nil
		}
		if err := proto.Unmarshal(message, answer); err != nil || len(answer.Kvs) < 8 {
			return message, err
		}
		short.Add(1)
		answer.Kvs, answer.More = answer.Kvs[:7], true
		return proto.Marshal(answer)
	}
	wantWhole(t, pin(t, connect.Config{Endpoints: []string{r.endpoint}}), client, nil)
	if short.Load() < 10 {
		t.Errorf("%d pages were short", short.Load())
	}
}

// TestEndlessStream: E10. A stream that brings nothing is not listened to for
// ever.
func TestEndlessStream(t *testing.T) {
	server, _ := served(t, etcdproc.V37, generate(3000, 1000))
	r := newRelay(t, server.Endpoint)
	var empty atomic.Int64
	r.answered = func(_ context.Context, method string, n int, message []byte) ([]byte, error) {
		if method != "RangeStream" || n < 3 {
			return message, nil
		}
		empty.Add(1)
		return proto.Marshal(&pb.RangeStreamResponse{RangeResponse: &pb.RangeResponse{}})
	}
	within(t, 10*time.Second, func() {
		_, err := walk(t.Context(), pin(t, connect.Config{Endpoints: []string{r.endpoint}}), nil)
		if !errors.Is(err, etcdwalk.ErrInvariant) || !strings.Contains(err.Error(), "without a key") {
			t.Errorf("got %v, want %v", err, etcdwalk.ErrInvariant)
		}
	})
	if empty.Load() == 0 {
		t.Error("no message was empty")
	}
}

// TestLaggingMember: E07. Another endpoint serves what one does not have yet,
// and the revision stays.
func TestLaggingMember(t *testing.T) {
	server, client := served(t, etcdproc.V36, generate(2000, 2000))
	lagging, healthy := newRelay(t, server.Endpoint), newRelay(t, server.Endpoint)
	told := new(talk).over(healthy)
	pinned := make(chan struct{})
	var refused atomic.Int64
	lagging.asked = func(_ context.Context, method string, _ int) error {
		select {
		case <-pinned:
		default:
			return nil
		}
		if method != "Range" {
			return nil
		}
		refused.Add(1)
		return rpctypes.ErrGRPCFutureRev
	}
	v := pin(t, connect.Config{Endpoints: []string{lagging.endpoint, healthy.endpoint}})
	close(pinned)
	wantWhole(t, v, client, nil)
	if refused.Load() == 0 {
		t.Error("the lagging member was never asked")
	}
	for _, q := range told.requests {
		if q.Revision != v.Info().Revision && q.Revision != 0 {
			t.Errorf("revision %d was asked for, want %d", q.Revision, v.Info().Revision)
		}
	}
}

// deaf is an address where connecting takes for ever: its queue is full.
func deaf(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	if err == nil {
		err = syscall.Listen(fd, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) }) // nobody was ever accepted
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	for range 16 {
		conn, err := net.DialTimeout("tcp", address, 200*time.Millisecond)
		if slow, ok := errors.AsType[net.Error](err); ok && slow.Timeout() {
			return address
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
	}
	t.Skip("this system takes connections that nobody accepts")
	return ""
}

// TestBlackHole: E21. The search for a reason does not double the time.
func TestBlackHole(t *testing.T) {
	for _, scheme := range []string{"http", "https"} {
		endpoint := scheme + "://" + deaf(t)
		t.Run(scheme, func(t *testing.T) {
			wantDialError(t, connect.Config{Endpoints: []string{endpoint}, DialTimeout: 700 * time.Millisecond},
				etcdwalk.ErrUnavailable, endpoint, "no connection within")
		})
	}
	t.Run("with a long timeout", func(t *testing.T) {
		if os.Getenv("KUBEFERRY_LONG") == "" {
			t.Skip("long: run make test-long")
		}
		timeout := 8 * time.Second
		endpoint := "http://" + deaf(t)
		within(t, timeout+5*time.Second, func() {
			if _, err := etcd3.Dial(t.Context(), connect.Config{Endpoints: []string{endpoint}, DialTimeout: timeout}); !errors.Is(err, etcdwalk.ErrUnavailable) {
				t.Errorf("got %v, want %v", err, etcdwalk.ErrUnavailable)
			}
		})
	})
}
