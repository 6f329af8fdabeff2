package etcd3_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
)

// A relay is a gRPC server in front of an etcd. It passes calls on, counts
// them, and lies as it is told.
type relay struct {
	endpoint string
	// asked, if set, sees the n-th call of a method before the server does,
	// and may fail it.
	asked func(ctx context.Context, method string, n int) error
	// received, if set, sees each request; calls may be concurrent.
	received func(method string, message []byte)
	// answered, if set, sees the n-th message that a method answers with, over
	// all its calls, and may change it, hold it back, or fail the call.
	answered func(ctx context.Context, method string, n int, message []byte) ([]byte, error)

	upstream *grpc.ClientConn
	mu       sync.Mutex
	calls    map[string]int
	answers  map[string]int
}

// newRelay starts a relay. Its hooks may be set until the first call.
func newRelay(t testing.TB, endpoint string) *relay {
	t.Helper()
	upstream, err := grpc.NewClient(strings.TrimPrefix(endpoint, "http://"),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(bytesCodec{}), grpc.MaxCallRecvMsgSize(1<<30)))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{
		endpoint: "http://" + listener.Addr().String(), upstream: upstream,
		calls: map[string]int{}, answers: map[string]int{},
	}
	server := grpc.NewServer(grpc.ForceServerCodecV2(bytesCodec{}), grpc.UnknownServiceHandler(r.handle),
		grpc.MaxRecvMsgSize(1<<30))
	go server.Serve(listener)
	t.Cleanup(func() {
		server.Stop()
		upstream.Close()
	})
	return r
}

// count tells how often a method was called.
func (r *relay) count(method string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls[method]
}

func (r *relay) next(counts map[string]int, method string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	counts[method]++
	return counts[method]
}

func (r *relay) handle(_ any, in grpc.ServerStream) error {
	full, _ := grpc.MethodFromServerStream(in)
	method := path.Base(full)
	header, _ := metadata.FromIncomingContext(in.Context())
	ctx, cancel := context.WithCancel(metadata.NewOutgoingContext(in.Context(), header))
	defer cancel()
	var message []byte
	if err := in.RecvMsg(&message); err != nil {
		return err
	}
	n := r.next(r.calls, method)
	if r.received != nil {
		r.received(method, message)
	}
	if r.asked != nil {
		if err := r.asked(ctx, method, n); err != nil {
			return err
		}
	}
	out, err := r.upstream.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, full)
	if err != nil {
		return err
	}
	if err := errors.Join(out.SendMsg(&message), out.CloseSend()); err != nil {
		return err
	}
	for {
		err := out.RecvMsg(&message)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && r.answered != nil {
			message, err = r.answered(ctx, method, r.next(r.answers, method), message)
		}
		if err != nil {
			return err
		}
		if err := in.SendMsg(&message); err != nil {
			return err
		}
	}
}

// bytesCodec leaves messages as they are.
type bytesCodec struct{}

func (bytesCodec) Name() string { return "proto" }

func (bytesCodec) Marshal(v any) (mem.BufferSlice, error) {
	b, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("bytesCodec: %T", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(*b)}, nil
}

func (bytesCodec) Unmarshal(data mem.BufferSlice, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("bytesCodec: %T", v)
	}
	*b = data.Materialize()
	return nil
}

// A pipe is a TCP proxy that harms one connection: the one over which the
// server's bytes exceed after.
type pipe struct {
	endpoint string
	after    atomic.Int64 // bytes from the server until the harm; 0: never
	every    int64        // bytes from the server until each connection is cut; 0: never
	stall    bool         // hold the connection open instead of cutting it
	fired    atomic.Int64
	passed   atomic.Int64 // bytes from the server so far
	upstream string
}

func newPipe(t testing.TB, endpoint string) *pipe {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &pipe{endpoint: "http://" + listener.Addr().String(), upstream: strings.TrimPrefix(endpoint, "http://")}
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { p.serve(ctx, conn) })
		}
	})
	t.Cleanup(func() {
		cancel()
		listener.Close()
		serving.Wait()
	})
	return p
}

func (p *pipe) serve(ctx context.Context, down net.Conn) {
	defer down.Close()
	up, err := net.Dial("tcp", p.upstream)
	if err != nil {
		return
	}
	defer up.Close()
	stop := context.AfterFunc(ctx, func() { down.Close(); up.Close() })
	defer stop()
	go func() {
		_, _ = io.Copy(up, down) // its end is the end of the connection, however it came
		up.Close()
	}()
	buffer := make([]byte, 16<<10)
	for carried := int64(0); ; {
		n, err := up.Read(buffer)
		if err != nil {
			return
		}
		if carried += int64(n); p.every > 0 && carried > p.every {
			p.fired.Add(1)
			return
		}
		after := p.after.Load()
		if after > 0 && p.passed.Add(int64(n)) > after && p.after.CompareAndSwap(after, 0) {
			p.fired.Add(1)
			if p.stall {
				<-ctx.Done()
			}
			return
		}
		if _, err := down.Write(buffer[:n]); err != nil {
			return
		}
	}
}
