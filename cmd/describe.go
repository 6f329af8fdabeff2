package cmd

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/archive"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

type describeOptions struct {
	opening   opening
	selecting selecting
	keys      bool
}

func newDescribe(p *printer, s *settings) *cobra.Command {
	o := &describeOptions{}
	c := &cobra.Command{
		Use:   "describe ARCHIVE [TYPE | TYPE/NAME]... [--keys]",
		Short: "Show what an archive holds",
		Long: `Shows where and when an archive was made, and how many keys of each kind and
namespace it holds. With --keys it shows each object, or each of the TYPEs.

It reads only the parts it needs; kubeferry verify checks them all.` +
			ends(exitNotFound, exitKey, exitIntegrity, exitPolicy, exitStore, exitDenied),
		Example: `  kubeferry describe prod.zip.age -i kubeferry.identity
  kubeferry describe prod.zip.age -i kubeferry.identity --keys deployments -n shop`,
		Args: atLeastOne("ARCHIVE, the file to describe"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !o.keys && (len(args) > 1 || !o.selecting.empty()) {
				return usagef("what selects objects goes with --keys: kubeferry describe %s --keys", strings.Join(args, " "))
			}
			query, err := o.selecting.query(args[1:])
			if err != nil {
				return err
			}
			return o.run(cmd.Context(), p, s, args[0], query)
		},
	}
	flags := c.Flags()
	flags.BoolVar(&o.keys, "keys", false, "show each object")
	o.selecting.addFlags(flags)
	o.opening.addFlags(flags)
	return c
}

func (o *describeOptions) run(ctx context.Context, p *printer, s *settings, path string, query kube.Query) error {
	a, err := o.opening.open(ctx, p, s, path)
	if err != nil {
		return err
	}
	defer a.Close()
	if o.keys {
		return o.objects(ctx, p, a, query)
	}
	p.result = map[string]any{"header": a.Header(), "kinds": a.Manifest().Kinds, "prefixes": a.Manifest().Prefixes, "outside": a.Manifest().Outside, "outcome": a.Manifest().Outcome, "keys": a.Manifest().Totals.Keys, "bytes": a.Manifest().Totals.Bytes}
	p.table(facts(a))
	p.data("")
	p.table(totals(a.Manifest()))
	return nil
}

// facts are the lines about the archive as a whole.
func facts(a *ferry.Archive) [][]string {
	h, m, info := a.Header(), a.Manifest(), a.Info()
	rows := [][]string{
		{"Archive:", h.ArchiveID},
		{"Created:", h.Created.Local().Format(time.RFC1123Z)},
		{"Cluster:", h.Cluster},
		{"Kube-system UID:", identityText(info)},
		{"Etcd cluster id:", info.ClusterID.String()},
		{"Etcd version:", orNone(info.ServerVersion)},
		{"Revision:", strconv.FormatInt(info.Revision, 10)},
		{"Selection:", selectionText(h.Selection)},
		{"One moment:", strconv.FormatBool(m.Outcome.Consistent)},
		{"Keys:", strconv.FormatInt(m.Totals.Keys, 10)},
		{"Size:", bytesText(m.Totals.Bytes)},
		{"Encrypted:", strconv.FormatBool(a.Encrypted)},
		{"Made by:", fmt.Sprintf("kubeferry %s on %s", h.ToolVersion, h.Host)},
	}
	if a.Corrupt() {
		rows = append(rows, []string{"Source:", "corrupt, and taken on request"})
		for _, doubt := range m.Outcome.Doubts {
			rows = append(rows, []string{"", doubt})
		}
	}
	if o := m.Outside; o != nil && o.Keys > 0 {
		rows = append(rows, []string{"Not taken:", counted(o.Keys, "key") + " beside these prefixes"})
	}
	if a.Receipt == nil {
		rows = append(rows, []string{"Receipt:", "none beside it"})
	}
	return rows
}

// identityText shows which cluster a view is of, with the prefixes where it holds
// several.
func identityText(info etcdwalk.Info) string {
	var known []etcdwalk.Identity
	for _, id := range info.Identities {
		if id.State != etcdwalk.IdentityNone {
			known = append(known, id)
		}
	}
	if len(known) < 2 {
		return orNone(info.Identity().String())
	}
	var parts []string
	for _, id := range known {
		parts = append(parts, fmt.Sprintf("%s (%s)", id, id.Prefix))
	}
	return strings.Join(parts, ", ")
}

// totals are the kinds and namespaces; apart for each prefix where there are
// several, since a namespace of one is not that of another.
func totals(m archive.Manifest) [][]string {
	cells := func(k archive.KindTotal) []string {
		return []string{kindText(k.Kind), orNone(k.Namespace), strconv.FormatInt(k.Keys, 10), bytesText(k.Bytes)}
	}
	rows := [][]string{{"KIND", "NAMESPACE", "KEYS", "SIZE"}}
	for _, k := range m.Kinds {
		rows = append(rows, cells(k))
	}
	if len(m.Prefixes) == 0 {
		return rows
	}
	rows = [][]string{{"PREFIX", "KIND", "NAMESPACE", "KEYS", "SIZE"}}
	for _, p := range m.Prefixes {
		for _, k := range p.Kinds {
			rows = append(rows, append([]string{orNone(p.Prefix)}, cells(k)...))
		}
	}
	return rows
}

func selectionText(s archive.Selection) string {
	if s.Whole {
		return "whole"
	}
	var parts []string
	for _, part := range []struct {
		name  string
		words []string
	}{{"", s.Include}, {"--exclude ", s.Exclude}, {"-n ", s.Namespaces}, {"--prefix ", s.Prefixes}} {
		if len(part.words) > 0 {
			parts = append(parts, part.name+strings.Join(part.words, ","))
		}
	}
	return strings.Join(parts, " ")
}

func orNone(s string) string {
	if s == "" {
		return "<none>"
	}
	return s
}

// object is one line of describe --keys.
type object struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	Bytes     int64  `json:"bytes"`
	Revision  int64  `json:"revision"`
	Key       []byte `json:"key"`
}

// objectColumns has fixed widths: the lines are not known when the first goes out.
const objectColumns = "%-40s %-24s %-48s %10s %10s"

// objects shows each object. Lines go out as they are read: an archive can
// hold more of them than memory.
func (o *describeOptions) objects(ctx context.Context, p *printer, a *ferry.Archive, query kube.Query) error {
	first, several := true, len(a.Manifest().Prefixes) > 0
	shown, err := ferry.Objects(ctx, a, query, func(class etcdwalk.Class, e etcdwalk.Entry) {
		if first {
			p.data(objectColumns, "KIND", "NAMESPACE", "NAME", "SIZE", "REVISION")
		}
		first = false
		name := class.Name
		if name == "" {
			name = fmt.Sprintf("%q", e.Key)
		}
		if several { // the same namespaces can be under each
			name = fmt.Sprintf("%s (%s)", name, orNone(class.Prefix))
		}
		if p.json {
			p.object(map[string]any{"message_type": "object", "schema": schemaVersion, "object": object{
				class.Kind, class.Namespace, class.Name, e.Size(), e.ModRevision, e.Key,
			}})
			return
		}
		p.data(objectColumns, kindText(class.Kind), orNone(class.Namespace), name, bytesText(e.Size()), strconv.FormatInt(e.ModRevision, 10))
	})
	if err != nil {
		return fmt.Errorf("looking into the archive: %w", err)
	}
	p.result = map[string]int64{"objects": shown}
	return nil
}
