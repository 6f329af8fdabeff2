package flags

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

// A Reading is the flags of a command that reads objects, wherever they are: in an
// archive, or in the live cluster if none is named.
type Reading struct {
	source     Source
	connection Connection
	from       string
}

// AddFlags adds the flags.
func (f *Reading) AddFlags(c *cobra.Command, s *Settings) {
	f.source.AddFrom(c, &f.from)
	f.source.AddFlags(c.Flags(), s)
	f.connection.AddFlags(c.Flags(), s)
}

// A Readable is what the flags name.
type Readable struct {
	etcdwalk.Source
	Name  string
	Close func()
	// BytesRead is how many bytes of an archive have been read; none of a cluster.
	BytesRead func() int64
}

// Open opens what the flags name. The layout is that of the selection.
func (f *Reading) Open(ctx context.Context, layout *kube.Layout) (*Readable, error) {
	switch named := f.connection.typed(); {
	case f.from != "" && named != "":
		return nil, console.Usagef("--from names an archive, and --%s is of a live cluster: leave out the one that is not meant", named)
	case f.from == "" && f.source.store != "":
		return nil, console.Usagef("--store needs --from, for example --from latest")
	case f.from == "":
		cluster, err := f.connection.Dial(ctx, layout)
		if err != nil {
			return nil, err
		}
		return &Readable{cluster.Source, cluster.Address, cluster.Close, func() int64 { return 0 }}, nil
	}
	a, err := f.source.Open(ctx, f.from, false)
	if err != nil {
		return nil, err
	}
	return &Readable{a.Archive, a.Path, a.Close, a.BytesRead}, nil
}
