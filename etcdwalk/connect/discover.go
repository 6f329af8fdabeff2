package connect

import (
	"context"
	"fmt"
	"strings"

	"go.etcd.io/etcd/client/pkg/v3/srv"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// A Discovery says where endpoints are found that nobody names: in the SRV records
// _etcd-client-ssl._tcp and _etcd-client._tcp of a domain, as etcdctl does.
type Discovery struct {
	Domain   string
	Name     string // of the service; empty: none
	Insecure bool   // take endpoints over plain text, and verify no name
}

// ErrDiscovery: the records of a domain name no endpoint that can be used.
// It is an [ErrConfig].
var ErrDiscovery = fmt.Errorf("no endpoint was discovered%.0w", ErrConfig)

// Endpoints asks DNS. Without Insecure only those over TLS count, of servers whose
// certificate is for the domain: ServerName. The records may be anybody's.
// Those over TLS go before others in any case: the two do not mix.
func (d Discovery) Endpoints(ctx context.Context) ([]string, error) {
	type result struct {
		found *srv.SRVClients
		err   error
	}
	asked := make(chan result, 1)
	go func() { // the package takes no context
		found, err := srv.GetClient("etcd-client", d.Domain, d.Name)
		asked <- result{found, err}
	}()
	var r result
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("look for the SRV records of etcd in %s: %w", d.Domain, ctx.Err())
	case r = <-asked:
	}
	if r.err != nil {
		return nil, fmt.Errorf("look for the SRV records of etcd in %s: %w%.0w", d.Domain, r.err, etcdwalk.ErrUnavailable)
	}
	var secure, plain []string
	for _, e := range r.found.Endpoints {
		e = strings.Replace(e, ".:", ":", 1) // names in DNS end in a dot
		if strings.HasPrefix(e, "http://") {
			plain = append(plain, e)
		} else {
			secure = append(secure, e)
		}
	}
	switch {
	case len(secure) > 0:
		return secure, nil
	case len(plain) > 0 && d.Insecure:
		return plain, nil
	case len(plain) > 0:
		return nil, fmt.Errorf("the SRV records of %s name %d endpoints over plain text and none over TLS; --insecure-discovery takes them%.0w", d.Domain, len(plain), ErrDiscovery)
	}
	return nil, fmt.Errorf("the SRV records of %s name no etcd endpoint%.0w", d.Domain, ErrDiscovery)
}

// ServerName is what the certificates of the endpoints found must be for; empty:
// their own hosts.
func (d Discovery) ServerName() string {
	if d.Insecure {
		return ""
	}
	return d.Domain
}
