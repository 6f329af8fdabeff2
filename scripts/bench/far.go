package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const oursOfShop = ours + " -n shop"

const (
	farAway = 20 * time.Millisecond // what a round trip takes longer
	// crowdKinds are custom kinds, each with its definition and four objects.
	crowdKinds = 1500
)

// farGroup measures what a part costs of a cluster with many custom kinds that is far away.
func farGroup(version string) group {
	name := "far-" + version
	return group{
		name:  name,
		about: fmt.Sprintf("one namespace, and everything, of %d custom kinds on etcd %s, %s away", crowdKinds, version, farAway),
		quick: true,
		most:  3,
		contenders: func(ctx context.Context, b *bench) ([]contender, error) {
			b.close()
			s, err := start(ctx, b.programs.etcd[version], filepath.Join(b.dir, name), "--unsafe-no-fsync")
			if err != nil {
				return nil, err
			}
			b.current = &dataset{Name: "far", Version: version, server: s}
			if err := fillCrowd(ctx, s); err != nil {
				return nil, fmt.Errorf("fill %d custom kinds: %w", crowdKinds, err)
			}
			endpoint, err := distant(ctx, strings.TrimPrefix(s.endpoint, "http://"))
			if err != nil {
				return nil, err
			}
			far := *s
			far.endpoint = endpoint
			d := &dataset{Name: "far", Version: version, server: &far}
			run := func(words ...string) func(ctx context.Context) (figures, error) {
				return func(ctx context.Context) (figures, error) {
					f, _, err := b.backup(ctx, d, words...)
					if err == nil && f[keys] < crowdKinds {
						err = fmt.Errorf("kubeferry backup took %.0f keys", f[keys])
					}
					return f, err
				}
			}
			return []contender{{name: ours, run: run()}, {name: oursOfShop, run: run("-n", "shop")}}, nil
		},
	}
}

// fillCrowd puts many custom kinds, as operators leave them behind.
func fillCrowd(ctx context.Context, s *server) error {
	client, err := s.client()
	if err != nil {
		return err
	}
	defer client.Close()
	namespaces := []string{"shop", "data", "web", "idle"}
	var ops []clientv3.Op
	for _, ns := range append(namespaces, "kube-system") {
		ops = append(ops, clientv3.OpPut("/registry/namespaces/"+ns, fmt.Sprintf(`{"kind":"Namespace","apiVersion":"v1","metadata":{"name":%q,"uid":"uid-of-%[1]s"}}`, ns)))
	}
	for i := range crowdKinds {
		group, plural := fmt.Sprintf("%c%d.example.com", 'a'+i%26, i/10), fmt.Sprintf("things%d", i)
		ops = append(ops, clientv3.OpPut("/registry/apiextensions.k8s.io/customresourcedefinitions/"+plural+"."+group, fmt.Sprintf(
			`{"kind":"CustomResourceDefinition","apiVersion":"apiextensions.k8s.io/v1","metadata":{"name":"%s.%s"},"spec":{"group":%[2]q,"scope":"Namespaced","names":{"plural":%[1]q,"kind":"Thing%[3]d"}}}`, plural, group, i)))
		for _, ns := range namespaces {
			ops = append(ops, clientv3.OpPut(fmt.Sprintf("/registry/%s/%s/%s/one", group, plural, ns), fmt.Sprintf(
				`{"kind":"Thing%d","apiVersion":"%s/v1","metadata":{"name":"one","namespace":%q},"spec":{"text":%q}}`, i, group, ns, strings.Repeat("text ", 100))))
		}
		if len(ops) > 100 || i == crowdKinds-1 {
			if _, err := client.Txn(ctx).Then(ops...).Commit(); err != nil {
				return err
			}
			ops = nil
		}
	}
	return nil
}

// distant is an endpoint before an address whose answers come later: all of them, however
// many are under way. It ends with ctx.
func distant(ctx context.Context, address string) (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	context.AfterFunc(ctx, func() { listener.Close() })
	go func() {
		for {
			down, err := listener.Accept()
			if err != nil {
				return
			}
			go relay(down, address)
		}
	}()
	return "http://" + listener.Addr().String(), nil
}

// relay passes on one connection.
func relay(down net.Conn, address string) {
	defer down.Close()
	up, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer up.Close()
	go func() {
		_, _ = io.Copy(up, down) // its end is the end of the connection, however it came
		up.Close()
	}()
	type part struct {
		bytes []byte
		due   time.Time
	}
	parts := make(chan part, 1024)
	go func() {
		defer close(parts)
		for {
			buffer := make([]byte, 64<<10)
			n, err := up.Read(buffer)
			if err != nil {
				return
			}
			parts <- part{buffer[:n], time.Now().Add(farAway)}
		}
	}()
	for p := range parts {
		time.Sleep(time.Until(p.due))
		if _, err := down.Write(p.bytes); err != nil {
			up.Close() // and then the reader ends
		}
	}
}
