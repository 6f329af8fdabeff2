package ferry

import (
	"context"
	"time"

	"github.com/kubeferry/kubeferry/archive"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/catalog"
)

// header tells where the archive of a choice comes from.
func (b Backup) header(ctx context.Context, c *choice) (archive.Header, error) {
	info := c.view.Info()
	uid, err := c.layout.ClusterUID(ctx, c.view)
	if err != nil {
		return archive.Header{}, err
	}
	info.KubeSystemUID = uid
	label := b.Label
	if label == "" {
		label = defaultLabel(info)
	}
	return archive.Header{
		Cluster: label,
		Selection: archive.Selection{
			Include: b.Filter.Include, Exclude: b.Filter.Exclude,
			Namespaces: b.Filter.Namespaces, Prefixes: b.Filter.Prefixes, Whole: b.Filter.Whole(),
		},
		Sources:     []etcdwalk.Info{info},
		ToolVersion: b.Tool,
		Host:        b.Host,
		Created:     b.Now().UTC().Truncate(time.Second),
	}, nil
}

// defaultLabel names a cluster by the beginning of its kube-system UID, or of
// its etcd cluster id where it has none that would do.
func defaultLabel(info etcdwalk.Info) string {
	name := info.KubeSystemUID[:min(8, len(info.KubeSystemUID))]
	if catalog.ValidLabel(name) != nil {
		name = info.ClusterID.String()
	}
	return name[:min(8, len(name))]
}

// receipt describes a finished archive to those who hold no key.
func (b Backup) receipt(h archive.Header, m archive.Manifest, name string, digest remote.Digest) catalog.Receipt {
	info := h.Sources[0]
	return catalog.NewReceipt(catalog.Receipt{
		ArchiveID:     h.ArchiveID,
		Name:          name,
		Created:       h.Created,
		ClusterID:     info.ClusterID.String(),
		KubeSystemUID: info.KubeSystemUID,
		Cluster:       h.Cluster,
		Revision:      info.Revision,
		Keys:          m.Totals.Keys,
		Kinds:         kinds(m),
		Whole:         b.Filter.Whole(),
		RetainUntil:   b.Retain,
		ToolVersion:   h.ToolVersion,
	}, digest)
}

// kinds counts the kinds that an archive holds keys of.
func kinds(m archive.Manifest) int {
	seen := map[string]bool{}
	for _, k := range m.Kinds {
		if k.Kind != "" {
			seen[k.Kind] = true
		}
	}
	return len(seen)
}
