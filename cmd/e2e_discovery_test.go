package cmd

import (
	"context"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// records answers questions for SRV records, and counts them.
type records struct {
	srv   map[string][]string // host:port by the record's name
	asked atomic.Int64
}

// serveDNS makes the resolver of this process ask the records. Addresses are all of
// this machine.
func serveDNS(t *testing.T, r *records) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	check(t, err)
	was := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
	t.Cleanup(func() { net.DefaultResolver = was; conn.Close() })
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			if answer := r.answer(buffer[:n]); answer != nil {
				_, _ = conn.WriteTo(answer, from)
			}
		}
	}()
}

func (r *records) answer(packet []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(packet) != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	m.Response, m.Additionals = true, nil
	head := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}
	targets, known := r.srv[strings.TrimSuffix(q.Name.String(), ".")]
	switch {
	case q.Type == dnsmessage.TypeSRV && known:
		r.asked.Add(1)
		for _, target := range targets {
			host, port, _ := net.SplitHostPort(target)
			n, _ := strconv.ParseUint(port, 10, 16)
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.SRVResource{Port: uint16(n), Target: dnsmessage.MustNewName(host + ".")}})
		}
	case q.Type == dnsmessage.TypeA:
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}})
	case q.Type == dnsmessage.TypeSRV:
		m.RCode = dnsmessage.RCodeNameError
	}
	packed, _ := m.Pack()
	return packed
}

// --discovery-srv, and ETCDCTL_DISCOVERY_SRV, name the endpoints where nothing else
// does; as with etcdctl those over TLS, of the domain, unless the user insists.
func TestDiscovery(t *testing.T) {
	ca := etcdproc.NewCA(t)
	leaf := ca.Issue(t, "etcd.test", nil)
	secure := etcdproc.Start(t, etcdproc.Options{TLS: &etcdproc.TLS{Cert: leaf.Cert, Key: leaf.Key}})
	plain := etcdproc.Start(t, etcdproc.Options{})
	port := func(s *etcdproc.Server) string {
		_, port, _ := net.SplitHostPort(strings.SplitN(s.Endpoint, "//", 2)[1])
		return port
	}
	r := &records{srv: map[string][]string{
		"_etcd-client-ssl._tcp.localhost.test": {"m1.localhost.test:" + port(secure)},
		"_etcd-client._tcp.localhost.test":     {"m1.localhost.test:" + port(plain)},
		"_etcd-client._tcp.plain.test":         {"m1.plain.test:" + port(plain)},
		"_etcd-client-mine._tcp.plain.test":    {"m2.plain.test:" + port(plain)},
	}}
	serveDNS(t, r)
	look := []string{"backup", "--dry-run", "--allow-empty", "-v"}

	// The certificate of the test server is for localhost only.
	must(t, exitCluster, append(look, "--discovery-srv=localhost.test", "--cacert", ca.File)...).says(t, "m1.localhost.test:"+port(secure), "another host")
	must(t, exitConfig, append(look, "--discovery-srv=plain.test")...).says(t, "1 endpoints over plain text", "--insecure-discovery")
	must(t, exitDone, append(look, "--discovery-srv=plain.test", "--insecure-discovery", "--insecure-transport")...).says(t, "plain text to http://m1.plain.test:"+port(plain))
	must(t, exitDone, append(look, "--discovery-srv=plain.test", "--discovery-srv-name=mine", "--insecure-discovery", "--insecure-transport")...).says(t, "http://m2.plain.test:")
	must(t, exitCluster, append(look, "--discovery-srv=absent.test")...).says(t, "SRV records of etcd in absent.test")
	runIn(t, []string{"ETCDCTL_DISCOVERY_SRV=plain.test", "ETCDCTL_INSECURE_DISCOVERY=true", "ETCDCTL_INSECURE_TRANSPORT=true"}, look...).ends(t, exitDone).says(t, "m1.plain.test")

	// Endpoints from anywhere go before.
	asked := r.asked.Load()
	must(t, exitDone, append(look, "--discovery-srv=plain.test", "--endpoints", plain.Endpoint)...)
	runIn(t, []string{"ETCDCTL_DISCOVERY_SRV=plain.test", "ETCDCTL_ENDPOINTS=" + plain.Endpoint}, look...).ends(t, exitDone)
	if r.asked.Load() != asked {
		t.Error("DNS was asked although there are endpoints")
	}
}

// A proxy that hangs is named, whichever API is spoken; loopback never goes there.
func TestAHangingProxyIsNamed(t *testing.T) {
	hanging := hole(t, stage{})
	t.Setenv("HTTPS_PROXY", hanging.endpoint)
	for _, api := range []string{"v2", "v3", "auto"} {
		before := hanging.fired()
		must(t, exitCluster, "backup", "--dry-run", "--api", api, "--dial-timeout=1s", "--endpoints", "https://etcd.example:2379").says(t, "through the proxy "+hanging.endpoint+" (HTTPS_PROXY")
		if hanging.fired() == before {
			t.Errorf("%s: the proxy was not asked", api)
		}
	}
	before := hanging.fired()
	must(t, exitDone, "backup", "--dry-run", "--allow-empty", "--endpoints", etcdproc.Start(t, etcdproc.Options{}).Endpoint)
	if hanging.fired() != before {
		t.Error("loopback went through the proxy")
	}
}
