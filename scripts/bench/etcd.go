package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// quota is the most that operators give an etcd database.
const quota = 8 << 30

// A server is an etcd of one member, on loopback, that syncs what it writes.
type server struct {
	endpoint string
	dir      string // its data and its log

	command command
	process *exec.Cmd
	ended   chan struct{} // closed when the process is gone
}

// start runs an etcd on what lies in the folder, if anything, and waits until it
// serves. The flags add to those of every server here.
func start(ctx context.Context, program, dir string, flags ...string) (*server, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	client, err := freeAddress()
	if err != nil {
		return nil, err
	}
	peer, err := freeAddress()
	if err != nil {
		return nil, err
	}
	s := &server{endpoint: "http://" + client, dir: dir}
	s.command = append(command{
		program,
		"--name=bench", "--data-dir=" + filepath.Join(dir, "data"),
		"--listen-client-urls=" + s.endpoint, "--advertise-client-urls=" + s.endpoint,
		"--listen-peer-urls=http://" + peer, "--initial-advertise-peer-urls=http://" + peer,
		"--initial-cluster=bench=http://" + peer,
		"--quota-backend-bytes=" + strconv.Itoa(quota), "--log-level=warn",
	}, flags...)
	if err := s.run(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// restart gives the server a process that has served nobody yet, at the same
// address.
func (s *server) restart(ctx context.Context) error {
	s.stop()
	return s.run(ctx)
}

// run starts the process and waits until it serves. When that ends is stop's
// business, not the context's: a server must outlive those that it serves.
func (s *server) run(ctx context.Context) error {
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	s.process = process(context.WithoutCancel(ctx), s.command)
	s.process.Stdout, s.process.Stderr = log, log
	if err := s.process.Start(); err != nil {
		return fmt.Errorf("start etcd: %w", err)
	}
	s.ended = make(chan struct{})
	go func() {
		defer close(s.ended)
		s.process.Wait()
	}()
	if err := s.await(ctx); err != nil {
		s.stop()
		return err
	}
	return nil
}

// await waits until the server has a leader and answers.
func (s *server) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.endpoint+"/health", nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-s.ended:
			return fmt.Errorf("etcd ended as it began; its log ends:\n%s", s.lastWords())
		case <-ctx.Done():
			return fmt.Errorf("wait for etcd: %w; its log ends:\n%s", ctx.Err(), s.lastWords())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// stop ends the process and waits for its end. Stopping twice is harmless.
func (s *server) stop() {
	s.process.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(20 * time.Second):
		s.process.Process.Kill()
		<-s.ended
	}
}

// remove stops the server for good.
func (s *server) remove() error {
	s.stop()
	return os.RemoveAll(s.dir)
}

func (s *server) pid() int { return s.process.Process.Pid }

func (s *server) log() string { return filepath.Join(s.dir, "etcd.log") }

// lastWords is the end of the log.
func (s *server) lastWords() string {
	text, err := os.ReadFile(s.log())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-2000):])
}

// countSlow begins to count what the server itself found slow, and returns a
// function that tells how many lines of its log say so since.
func (s *server) countSlow() (func() (float64, error), error) {
	info, err := os.Stat(s.log())
	if err != nil {
		return nil, err
	}
	return func() (float64, error) {
		log, err := os.Open(s.log())
		if err != nil {
			return 0, err
		}
		defer log.Close()
		text, err := io.ReadAll(io.NewSectionReader(log, info.Size(), 1<<30))
		return float64(bytes.Count(text, []byte("took too long"))), err
	}, nil
}

// client connects to the server with etcd's own client.
func (s *server) client() (*clientv3.Client, error) {
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{s.endpoint}, DialTimeout: 10 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		return nil, fmt.Errorf("connect to etcd: %w", err)
	}
	return c, nil
}

// freeAddress is a loopback address that nobody listens on, with a port below
// those that the kernel gives to connections.
func freeAddress() (string, error) {
	var err error
	for range 100 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(12_000+rand.IntN(20_000)))
		var l net.Listener
		if l, err = net.Listen("tcp", address); err == nil {
			return address, l.Close()
		}
	}
	return "", fmt.Errorf("no port is free: %w", err)
}
