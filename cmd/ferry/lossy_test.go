package ferry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd3"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
	"github.com/kubeferry/kubeferry/remote/remotetest"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// A forgetter stands before an etcd and loses the answers to some of the
// transactions that write, once the etcd has made them.
type forgetter struct {
	endpoint string
	every    int64 // loses each so manyth answer
	writes   atomic.Int64
	lost     atomic.Int64
	reads    atomic.Int64 // of ranges, as pages or streams
	upstream *grpc.ClientConn
}

func newForgetter(t *testing.T, endpoint string, every int64) *forgetter {
	t.Helper()
	upstream, err := grpc.NewClient(strings.TrimPrefix(endpoint, "http://"),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodecV2(asIs{}), grpc.MaxCallRecvMsgSize(1<<30)))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &forgetter{endpoint: "http://" + listener.Addr().String(), every: every, upstream: upstream}
	server := grpc.NewServer(grpc.ForceServerCodecV2(asIs{}), grpc.UnknownServiceHandler(f.pass), grpc.MaxRecvMsgSize(1<<30))
	go server.Serve(listener)
	t.Cleanup(func() {
		server.Stop()
		upstream.Close()
	})
	return f
}

// pass relays one call.
func (f *forgetter) pass(_ any, in grpc.ServerStream) error {
	full, _ := grpc.MethodFromServerStream(in)
	header, _ := metadata.FromIncomingContext(in.Context())
	ctx, cancel := context.WithCancel(metadata.NewOutgoingContext(in.Context(), header))
	defer cancel()
	var message []byte
	if err := in.RecvMsg(&message); err != nil {
		return err
	}
	if strings.HasPrefix(path.Base(full), "Range") {
		f.reads.Add(1)
	}
	lose := path.Base(full) == "Txn" && writes(message) && f.writes.Add(1)%f.every == 0
	out, err := f.upstream.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, full)
	if err != nil {
		return err
	}
	if err := errors.Join(out.SendMsg(&message), out.CloseSend()); err != nil {
		return err
	}
	for {
		switch err := out.RecvMsg(&message); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case lose:
			f.lost.Add(1)
			return status.Error(codes.Unavailable, "error reading from server: EOF")
		}
		if err := in.SendMsg(&message); err != nil {
			return err
		}
	}
}

// writes tells whether a transaction puts anything.
func writes(message []byte) bool {
	request := &pb.TxnRequest{}
	return proto.Unmarshal(message, request) == nil && len(request.Success) > 0 && request.Success[0].GetRequestPut() != nil
}

// asIs is a codec that leaves messages as they are.
type asIs struct{}

func (asIs) Name() string { return "proto" }

func (asIs) Marshal(v any) (mem.BufferSlice, error) {
	message, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("%T is no bytes", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(*message)}, nil
}

func (asIs) Unmarshal(data mem.BufferSlice, v any) error {
	message, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("%T is no bytes", v)
	}
	*message = data.Materialize()
	return nil
}

// A stock is an archive, and what is in it.
type stock struct {
	store remotetest.Memory
	name  string
	keys  ferry.Keys
	held  []etcdwalk.Entry

	inFlight int // batches of a restore
}

// newStock backs up an etcd that holds n ConfigMaps, and those given beside.
func newStock(t *testing.T, n, size int, beside map[string]string) *stock {
	t.Helper()
	server := etcdproc.Start(t, etcdproc.Options{Flags: []string{"--max-request-bytes=4000000"}})
	client := server.Client(t)
	populate(t, client, n, size)
	for key, value := range beside {
		put(t, client, key, value)
	}
	recipient, keys := newKeys(t)
	s := &stock{keys: keys}
	done, err := backup(dial(t, server), &s.store, recipient).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.name = done.Receipt.Name
	s.held = contents(t, &s.store, s.name, keys)
	return s
}

// restored is what became of a restore.
type restored struct {
	records map[string]replay.Line
	summary replay.Summary
	err     error
}

// restore carries the stock into a cluster, the whole way: verify, plan, apply.
func (s *stock) restore(t *testing.T, cluster *etcd3.Cluster, target etcdwalk.Target, policy replay.Policy) restored {
	t.Helper()
	a, err := ferry.Open(t.Context(), &s.store, s.name, s.keys)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if _, err := a.Verify(t.Context(), nil, nil); err != nil {
		t.Fatal(err)
	}
	r := ferry.Restore{Source: a, Cluster: cluster, Target: target, Policy: policy, Scenario: kube.ScenarioNew, InFlight: s.inFlight}
	planned, err := r.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	done := restored{records: map[string]replay.Line{}}
	r.Report = func(record replay.Line) error {
		key := string(record.Key)
		if _, twice := done.records[key]; twice {
			t.Errorf("key %q has two outcomes", key)
		}
		record.Key = nil // not ours to keep
		done.records[key] = record
		return nil
	}
	done.summary, done.err = r.Apply(t.Context(), planned)
	if len(done.records) != len(s.held) {
		t.Errorf("%d keys have an outcome, want %d", len(done.records), len(s.held))
	}
	return done
}

// wantCreated fails the test unless the target holds these entries and no
// others, each written once, at the revision that was told.
func (done restored) wantCreated(t *testing.T, client *clientv3.Client, want []etcdwalk.Entry) {
	t.Helper()
	there := holdings(t, client, 0)
	if diff := walktest.Diff(there, want); diff != "" || len(want) == 0 {
		t.Fatalf("%d keys, want %d\n%s", len(there), len(want), diff)
	}
	if n := done.summary.Counts[replay.Created]; n != int64(len(want)) {
		t.Errorf("the summary says %v, want %d created", done.summary.Counts, len(want))
	}
	for _, e := range there {
		if r := done.records[string(e.Key)]; r.Fate != replay.Created || r.Revision != e.ModRevision || e.Version != 1 {
			t.Errorf("key %q has mod revision %d and version %d, its record is %+v", e.Key, e.ModRevision, e.Version, r)
		}
	}
}

// TestEveryTenthAnswerIsLost is row R03, under each policy and on each server.
func TestEveryTenthAnswerIsLost(t *testing.T) {
	s := newStock(t, 3000, 300, nil)
	for i, policy := range []replay.Policy{replay.Fail, replay.Skip, replay.Overwrite} {
		version := etcdproc.Versions()[i]
		s.inFlight = 8 * i
		t.Run(fmt.Sprintf("%s, etcd %s, %d in flight", policy, version, s.inFlight), func(t *testing.T) {
			server := etcdproc.Start(t, etcdproc.Options{Version: version, Flags: []string{"--max-txn-ops=16"}})
			f := newForgetter(t, server.Endpoint, 10)
			cluster, err := etcd3.Dial(t.Context(), connect.Config{Endpoints: []string{f.endpoint}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(cluster.Close)
			done := s.restore(t, cluster, cluster.Target(), policy)
			if done.err != nil || !done.summary.Complete() {
				t.Errorf("got %v, %v; want all keys restored", done.summary.Counts, done.err)
			}
			done.wantCreated(t, server.Client(t), s.held)
			if f.lost.Load() < 10 {
				t.Errorf("%d answers of %d were lost, want a tenth", f.lost.Load(), f.writes.Load())
			}
		})
	}
}

// TestSmallServers is row R06: what a server takes in one request is learnt, and
// the key that is too large for it is told of, alone.
func TestSmallServers(t *testing.T) {
	large, value := object("shop", "large", 300<<10)
	for name, test := range map[string]struct {
		beside map[string]string
		err    error
		failed int64
	}{
		"that take every key":    {nil, nil, 0},
		"that do not take a key": {map[string]string{large: value}, ferry.ErrIncomplete, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStock(t, 1000, 2000, test.beside)
			for _, version := range etcdproc.Versions() {
				server := etcdproc.Start(t, etcdproc.Options{Version: version, Flags: []string{"--max-txn-ops=16", "--max-request-bytes=262144"}})
				cluster := dial(t, server)
				done := s.restore(t, cluster, cluster.Target(), replay.Fail)
				if !errors.Is(done.err, test.err) || done.summary.Counts[replay.Failure] != test.failed {
					t.Fatalf("etcd %s: got %v, %v; want %v", version, done.summary.Counts, done.err, test.err)
				}
				if r := done.records[large]; test.failed > 0 && (r.Fate != replay.Failure || !strings.Contains(r.Reason, "--max-request-bytes") || !strings.Contains(r.Reason, large)) {
					t.Errorf("etcd %s: the record of the large key is %+v", version, r)
				}
				done.wantCreated(t, server.Client(t), slices.DeleteFunc(slices.Clone(s.held), func(e etcdwalk.Entry) bool { return string(e.Key) == large }))
			}
		})
	}
}

// TestFullServer is RS6: no space is the end, at once, and what was written is
// told.
func TestFullServer(t *testing.T) {
	s := newStock(t, 1000, 30<<10, nil)
	s.inFlight = 1 // in full batches
	// An etcd before 3.6 does not tell its quota, so that nothing is known before.
	server := etcdproc.Start(t, etcdproc.Options{Version: etcdproc.V35, Flags: []string{"--quota-backend-bytes=12000000", "--backend-batch-limit=1"}})
	f := newForgetter(t, server.Endpoint, 1<<40) // it only counts
	cluster, err := etcd3.Dial(t.Context(), connect.Config{Endpoints: []string{f.endpoint}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	client := server.Client(t)
	done := s.restore(t, cluster, cluster.Target(), replay.Fail)
	there := holdings(t, client, 0)
	if !errors.Is(done.err, etcdwalk.ErrNoSpace) || len(there) == 0 || len(there) == len(s.held) {
		t.Fatalf("got %v with %d keys of %d, want %v half way", done.err, len(there), len(s.held), etcdwalk.ErrNoSpace)
	}
	if done.summary.Counts[replay.Created] != int64(len(there)) || done.summary.Counts[replay.Unreached] == 0 {
		t.Errorf("the summary says %v, there are %d keys", done.summary.Counts, len(there))
	}
	// More than thirty of the objects go into a transaction.
	if most := int64(len(there)/30 + 3); f.writes.Load() > most {
		t.Errorf("%d transactions for %d keys: it did not stop at once", f.writes.Load(), len(there))
	}
}
