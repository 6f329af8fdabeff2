package ferry

import (
	"context"
	"time"

	"github.com/kubeferry/kubeferry/archive"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/remote/catalog"
)

// header tells where the archive of a choice comes from.
func (b Backup) header(ctx context.Context, c *choice) (archive.Header, error) {
	info := c.view.Info()
	ids, err := c.layout.Identities(ctx, c.view, b.Query.Opener())
	if err != nil {
		return archive.Header{}, err
	}
	info.Identify(ids)
	info.Alarms = c.alarms
	selected, err := b.Query.Selected()
	if err != nil {
		return archive.Header{}, err
	}
	words := b.Query.Words()
	label := b.Label
	if label == "" {
		label = defaultLabel(info)
	}
	return archive.Header{
		Cluster:    label,
		LabelTyped: b.Label != "",
		Selection: archive.Selection{
			Whole: selected.Whole, Digest: selected.Digest, Text: selected.Text,
			Include: words.Include, Exclude: words.Exclude,
			Namespaces: words.Namespaces, Prefixes: words.Prefixes,
			ExcludeNamespaces: words.ExcludeNamespaces, Labels: words.Labels, Fields: words.Fields,
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

// receipt is what an archive says of itself, told to those who hold no key; what
// the bytes of the object say is still to come.
func receipt(h archive.Header, m archive.Manifest, name string) catalog.Receipt {
	info := h.Sources[0]
	id := info.Identity()
	r := catalog.Receipt{
		ArchiveID:     h.ArchiveID,
		Name:          name,
		Created:       h.Created,
		ClusterID:     info.ClusterID.String(),
		Identity:      string(id.State),
		KubeSystemUID: id.UID,
		Cluster:       h.Cluster,
		LabelTyped:    h.LabelTyped,
		Revision:      info.Revision,
		Keys:          m.Totals.Keys,
		Kinds:         kinds(m),
		Whole:         h.Selection.Whole,
		Selection:     catalog.Selection{Digest: h.Selection.Digest, Text: h.Selection.Text},
		CorruptSource: corrupt(h, m),
		ToolVersion:   h.ToolVersion,
	}
	if len(info.Identities) == 0 {
		r.Identity = "" // format 1.0 does not say why it has no UID
	}
	if m.Outside != nil {
		r.OutsideKeys = &m.Outside.Keys
	}
	return r
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
