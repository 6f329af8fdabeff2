package connect

import (
	"errors"
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
var ErrDiscovery = errors.New("no endpoint was discovered")

// Endpoints asks DNS. Without Insecure only those over TLS count, of servers whose
// certificate is for the domain: ServerName. The records may be anybody's.
func (d Discovery) Endpoints() (endpoints []string, err error) {
	found, err := srv.GetClient("etcd-client", d.Domain, d.Name)
	if err != nil {
		return nil, fmt.Errorf("%w: looking for the SRV records of etcd in %s: %w", etcdwalk.ErrUnavailable, d.Domain, err)
	}
	plain := 0
	for _, e := range found.Endpoints {
		if strings.HasPrefix(e, "http://") && !d.Insecure {
			plain++
			continue
		}
		endpoints = append(endpoints, strings.Replace(e, ".:", ":", 1)) // names in DNS end in a dot
	}
	if len(endpoints) == 0 && plain > 0 {
		return nil, fmt.Errorf("the SRV records of %s name %d endpoints over plain text and none over TLS; --insecure-discovery takes them: %w", d.Domain, plain, ErrDiscovery)
	}
	if len(endpoints) == 0 {
		return nil, fmt.Errorf("the SRV records of %s name no etcd endpoint: %w", d.Domain, ErrDiscovery)
	}
	return endpoints, nil
}

// ServerName is what the certificates of the endpoints found must be for; empty:
// their own hosts.
func (d Discovery) ServerName() string {
	if d.Insecure {
		return ""
	}
	return d.Domain
}
