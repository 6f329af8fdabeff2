package etcd3_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/proto"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// A lie changes an answer and tells whether it did.
type lie func(*pb.RangeResponse) bool

// lies are told by pages and by streams alike.
var lies = map[string]lie{
	"a key is left out": func(r *pb.RangeResponse) bool {
		if len(r.Kvs) > 2 {
			r.Kvs = append(r.Kvs[:1], r.Kvs[2:]...)
		}
		return len(r.Kvs) > 2
	},
	"a key comes twice": func(r *pb.RangeResponse) bool {
		if len(r.Kvs) > 2 {
			r.Kvs[1] = r.Kvs[0]
		}
		return len(r.Kvs) > 2
	},
	"keys are out of order": func(r *pb.RangeResponse) bool {
		if len(r.Kvs) > 2 {
			r.Kvs[0], r.Kvs[1] = r.Kvs[1], r.Kvs[0]
		}
		return len(r.Kvs) > 2
	},
	"a key is outside the range": func(r *pb.RangeResponse) bool {
		if len(r.Kvs) > 2 {
			r.Kvs[len(r.Kvs)-1].Key = []byte("/registry/podsandmore")
		}
		return len(r.Kvs) > 2
	},
	"a key is of a later revision": func(r *pb.RangeResponse) bool {
		if len(r.Kvs) > 2 {
			r.Kvs[1].ModRevision = 1 << 40
		}
		return len(r.Kvs) > 2
	},
	"the cluster is another": func(r *pb.RangeResponse) bool {
		if r.Header != nil {
			r.Header.ClusterId++
		}
		return r.Header != nil
	},
	"there is no header": func(r *pb.RangeResponse) bool {
		had := r.Header != nil
		r.Header = nil
		return had
	},
}

// pageLies are told by pages only.
var pageLies = map[string]lie{
	"an empty page says that there is more": func(r *pb.RangeResponse) bool {
		r.Kvs, r.More = nil, true
		return true
	},
	"the end comes too early": func(r *pb.RangeResponse) bool {
		r.More = false
		return true
	},
}

// TestLies: E10, WK3.
func TestLies(t *testing.T) {
	for _, version := range both {
		method, stories := "Range", []map[string]lie{lies, pageLies}
		if version == etcdproc.V37 {
			method, stories = "RangeStream", stories[:1]
		}
		server, _ := served(t, version, generate(3000, 1000))
		for _, story := range stories {
			for name, tell := range story {
				t.Run(name+" on "+version, func(t *testing.T) {
					testLie(t, server.Endpoint, method, 3, tell)
				})
			}
		}
		t.Run("a count is wrong on "+version, func(t *testing.T) {
			testLie(t, server.Endpoint, "Range", 1, func(r *pb.RangeResponse) bool {
				told := r.Count > 0 && len(r.Kvs) == 0
				if told {
					r.Count++
				}
				return told
			})
		})
		t.Run("the same page again and again on "+version, func(t *testing.T) {
			var first *pb.RangeResponse
			testLie(t, server.Endpoint, method, 3, func(r *pb.RangeResponse) bool {
				if first == nil && len(r.Kvs) > 2 {
					first = proto.Clone(r).(*pb.RangeResponse)
				}
				if first != nil {
					r.Kvs, r.More = first.Kvs, true
				}
				return first != nil
			})
		})
	}
}

// TestGarbledAnswers: E10. Records are passed on as the bytes that they are, but
// not before they were read. gRPC takes any bytes for a message here.
func TestGarbledAnswers(t *testing.T) {
	record := []byte{2<<3 | 2, 3, 1<<3 | 2, 200, 1} // its key is longer than itself
	part := append([]byte{1<<3 | 2, byte(len(record))}, record...)
	for version, method := range map[string]string{etcdproc.V36: "Range", etcdproc.V37: "RangeStream"} {
		server, _ := served(t, version, generate(3000, 1000))
		for name, garble := range map[string]func([]byte) []byte{
			"a record is none":  func([]byte) []byte { return map[string][]byte{"Range": record, "RangeStream": part}[method] },
			"an answer is cut":  func(message []byte) []byte { return message[:len(message)-1] },
			"an answer is none": func([]byte) []byte { return []byte("\xff\xff\xff") },
		} {
			t.Run(name+" on "+version, func(t *testing.T) {
				r := newRelay(t, server.Endpoint)
				var garbled atomic.Int64
				r.answered = func(_ context.Context, called string, n int, message []byte) ([]byte, error) {
					if called != method || n < 3 {
						return message, nil
					}
					garbled.Add(1)
					return garble(message), nil
				}
				_, err := walk(t.Context(), pin(t, connect.Config{Endpoints: []string{r.endpoint}}), nil)
				if !errors.Is(err, etcdwalk.ErrInvariant) {
					t.Errorf("got %v, want %v", err, etcdwalk.ErrInvariant)
				}
				if garbled.Load() == 0 {
					t.Error("no answer was garbled")
				}
			})
		}
	}
}

// testLie has all answers of a method from the given one on changed.
func testLie(t *testing.T, endpoint, method string, from int, tell lie) {
	r := newRelay(t, endpoint)
	var told atomic.Int64
	r.answered = func(_ context.Context, called string, n int, message []byte) ([]byte, error) {
		if called != method {
			return message, nil
		}
		var response pb.RangeStreamResponse
		if method == "Range" {
			response.RangeResponse = &pb.RangeResponse{}
			if err := proto.Unmarshal(message, response.RangeResponse); err != nil {
				return nil, err
			}
		} else if err := proto.Unmarshal(message, &response); err != nil {
			return nil, err
		}
		if n >= from && tell(response.RangeResponse) {
			told.Add(1)
		}
		if method == "Range" {
			return proto.Marshal(response.RangeResponse)
		}
		return proto.Marshal(&response)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c := dial(t, connect.Config{Endpoints: []string{r.endpoint}})
	pods := etcdwalk.Prefix("/registry/pods/")
	v, err := c.Pin(ctx, etcdwalk.Ranges{pods})
	if err == nil {
		for _, err = range v.Walk(ctx, etcdwalk.Selection{Ranges: etcdwalk.Ranges{pods}}) {
			continue
		}
	}
	if !errors.Is(err, etcdwalk.ErrInvariant) {
		t.Errorf("got %v, want %v", err, etcdwalk.ErrInvariant)
	}
	if told.Load() == 0 {
		t.Error("the lie was never told")
	}
}

// TestTargetLies: a transaction that failed although its guards hold must not
// be sent for ever, and after an answer of another cluster nothing more is.
func TestTargetLies(t *testing.T) {
	server := etcdproc.Start(t, etcdproc.Options{})
	for name, tell := range map[string]func(*pb.TxnResponse){
		"nothing was done, and nothing was in the way": func(r *pb.TxnResponse) { r.Succeeded, r.Responses = false, nil },
		"the cluster is another":                       func(r *pb.TxnResponse) { r.Header.ClusterId++ },
		"there is no header":                           func(r *pb.TxnResponse) { r.Header = nil },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRelay(t, server.Endpoint)
			r.answered = func(_ context.Context, method string, _ int, message []byte) ([]byte, error) {
				if method != "Txn" {
					return message, nil
				}
				var response pb.TxnResponse
				if err := proto.Unmarshal(message, &response); err != nil {
					return nil, err
				}
				tell(&response)
				return proto.Marshal(&response)
			}
			target := dial(t, connect.Config{Endpoints: []string{r.endpoint}}).Target()
			if got := target.Apply(t.Context(), []etcdwalk.Write{{Key: []byte(name)}})[0]; got.State != etcdwalk.WriteFailed || !errors.Is(got.Err, etcdwalk.ErrInvariant) {
				t.Errorf("got %+v", got)
			}
			if _, err := target.Lookup(t.Context(), [][]byte{[]byte(name)}); !errors.Is(err, etcdwalk.ErrInvariant) {
				t.Errorf("got %v, want %v", err, etcdwalk.ErrInvariant)
			}
			if n := r.count("Txn"); n != 2 {
				t.Errorf("%d transactions, want 2", n)
			}
		})
	}
}

// TestAnotherClusterStopsTheApply: what was sent after the answer would go to
// the wrong place too.
func TestAnotherClusterStopsTheApply(t *testing.T) {
	r := newRelay(t, etcdproc.Start(t, etcdproc.Options{}).Endpoint)
	r.answered = func(_ context.Context, method string, n int, message []byte) ([]byte, error) {
		if method != "Txn" || n != 2 {
			return message, nil
		}
		var response pb.TxnResponse
		if err := proto.Unmarshal(message, &response); err != nil {
			return nil, err
		}
		response.Header.ClusterId++
		return proto.Marshal(&response)
	}
	results := dial(t, connect.Config{Endpoints: []string{r.endpoint}}).Target().Apply(t.Context(), creates(generate(500, 10)))
	want := map[etcdwalk.WriteState]int{etcdwalk.WriteApplied: 128, etcdwalk.WriteFailed: 372}
	if diff := cmp.Diff(want, tally(results)); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	if n := r.count("Txn"); n != 2 {
		t.Errorf("%d transactions, want 2", n)
	}
	if err := results[len(results)-1].Err; !errors.Is(err, etcdwalk.ErrInvariant) {
		t.Errorf("the last write: got %v, want %v", err, etcdwalk.ErrInvariant)
	}
}

// TestTwoClusters: endpoints of two clusters are refused before any of them is
// read or written; one that is not there is passed over.
func TestTwoClusters(t *testing.T) {
	one, other := etcdproc.Start(t, etcdproc.Options{}), etcdproc.Start(t, etcdproc.Options{})
	wantDialError(t, connect.Config{Endpoints: []string{one.Endpoint, other.Endpoint}}, nil, "two clusters", one.Endpoint, other.Endpoint)
	pin(t, connect.Config{Endpoints: []string{one.Endpoint, "http://127.0.0.1:1"}})
	within(t, 4*time.Second, func() { pin(t, connect.Config{Endpoints: []string{one.Endpoint, deaf(t)}}) })
}
