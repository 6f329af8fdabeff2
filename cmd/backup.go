package cmd

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/remote/catalog"
)

type backupOptions struct {
	connection connection
	selecting  selecting
	sealing    sealing
	bucket     bucket
	publishing publishing
	to         string
	cluster    string
	allowEmpty bool
	verify     string
	shared     bool
	dryRun     bool
	corrupt    bool
	members    bool
}

// The words that --verify takes.
const (
	verifyWritten = "written"
	verifyFull    = "full"
)

func newBackup(p *printer, s *settings) *cobra.Command {
	o := &backupOptions{}
	c := &cobra.Command{
		Use:   "backup [TYPE | TYPE/NAME]... --to PLACE",
		Short: "Write the cluster's keys, or some of them, into an encrypted archive",
		Long: `Reads the selected keys at one revision and writes them into one archive:
compressed, encrypted, checked, and published whole or not at all.

Without TYPE everything that Kubernetes keeps in etcd is taken. The archive's
path is printed on stdout.

PLACE is a folder, a file (*.zip.age, with --no-encrypt *.zip), s3://bucket/prefix,
or - for stdout. Credentials for S3 are looked for where AWS's own tools look.

Members of one cluster can come to hold different data. Where two endpoints or more
are named, one page (about a megabyte) in a hundred is read again through the others,
and three at least: of p pages, one that differs is found with a probability of
3/p + 1/100, about. --verify-members finds it always.` +
			ends(exitNotFound, exitIntegrity, exitCluster, exitStore, exitDenied, exitConflict, exitGuard, exitNoSpace),
		Example: `  # everything, for one recipient
  kubeferry backup --to /var/backups/etcd -r age1…

  # two kinds of one namespace
  kubeferry backup deployments,cm -n shop --to /var/backups/etcd -R recipients.txt

  # to S3, locked for a month
  kubeferry backup --to s3://backups/prod --retain-for 30d -R recipients.txt

  # what would be taken
  kubeferry backup --dry-run`,
		ValidArgsFunction: completeKinds,
		RunE: func(cmd *cobra.Command, words []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			query, err := o.selecting.query(words)
			if err != nil {
				return err
			}
			if o.dryRun {
				return o.look(cmd.Context(), p, s, query)
			}
			return o.run(cmd.Context(), p, s, query)
		},
	}
	flags := c.Flags()
	flags.StringVar(&o.to, "to", "", "where the archive goes: a folder, a file, s3://bucket/prefix, or - for stdout")
	flags.StringVar(&o.cluster, "cluster", "", "label of the cluster, [a-z0-9.-] (default the beginning of its kube-system UID)")
	flags.BoolVar(&o.allowEmpty, "allow-empty", false, "an empty selection is no error")
	flags.StringVar(&o.verify, "verify", verifyWritten, "written: check all bytes as they are written, and again on the disk; full: also open the archive as a restore would")
	flags.BoolVar(&o.corrupt, "accept-corrupt-source", false, "back up a cluster although it calls itself corrupt, or its members disagree; the archive says so")
	flags.BoolVar(&o.members, "verify-members", false, "compare all that the members hold at this revision (HashKV), where rights allow; name two endpoints at least. A member takes no writes while it hashes: one after the other, the leader last")
	flags.BoolVar(&o.shared, "allow-shared-folder", false, "write into a folder that everybody can write to")
	flags.Var(newDryRun(&o.dryRun), "dry-run", "count keys and bytes per kind; write nothing")
	flags.Lookup("dry-run").NoOptDefVal = "client"
	o.selecting.addFlags(flags)
	o.sealing.addFlags(flags)
	o.connection.addFlags(flags)
	o.bucket.addFlags(flags)
	o.publishing.addFlags(flags, &o.bucket)
	return c
}

func (o *backupOptions) validate() error {
	switch {
	case o.verify != verifyWritten && o.verify != verifyFull:
		return usagef("--verify=%s: it takes %s or %s", o.verify, verifyWritten, verifyFull)
	case o.verify == verifyFull && o.to == "-":
		return usagef("--verify=full cannot read stdout back; write to a folder, or run kubeferry verify on what came out of the pipe")
	case o.dryRun && o.members:
		return usagef("--verify-members goes with a backup, and --dry-run makes none")
	case o.cluster == "":
		return nil
	}
	return catalog.ValidLabel(o.cluster)
}

func (o *backupOptions) run(ctx context.Context, p *printer, s *settings, query kube.Query) error {
	to, err := o.destination(ctx, p)
	if err != nil {
		return err
	}
	if to.stdout && p.json {
		return usagef("--json and --to - both want stdout; leave one of them out")
	}
	recipients, err := o.sealing.keys(ctx, p, s)
	if err != nil {
		return err
	}
	if o.verify == verifyFull && len(recipients) > 0 && recipients[0].IsPassphrase() {
		return usagef("--verify=full adds a key of its own for this run, which a passphrase does not allow; run kubeferry verify afterwards")
	}
	cluster, err := o.connection.dial(ctx, p, s, query.Layout())
	if err != nil {
		return err
	}
	defer cluster.close()
	host, err := p.sh.hostname()
	if err != nil {
		return fmt.Errorf("asking for this machine's name: %w", err)
	}
	tell, stop := p.progress()
	defer stop()
	done, err := ferry.Backup{
		Source:     cluster.source,
		Query:      query,
		AllowEmpty: o.allowEmpty, AcceptCorrupt: o.corrupt, VerifyMembers: o.members,
		Recipients: recipients,
		Store:      to.store,
		Name:       to.name,
		Pipe:       to.stdout,
		ReadBack:   o.verify == verifyFull,
		Label:      o.cluster,
		Retain:     o.bucket.config.RetainUntil,
		Tool:       version,
		Host:       host,
		Now:        p.sh.now,
		Progress:   tell,
	}.Run(ctx)
	stop()
	if err != nil {
		return err
	}
	if n := done.ReadBack.Unstorable; n > 0 {
		p.warn("%d values are in no form that Kubernetes stores, and a restore will refuse them without --raw, the first: %s", n, done.ReadBack.Examples[0])
	}
	o.warnOfIdentity(p, done)
	o.warnOfSource(p, done.Source.Alarms, done.Outcome.Doubts)
	if o.members && done.Members < 2 {
		p.warn("--verify-members compared nothing: it takes two endpoints or more, and with etcd's users the right of root")
	}
	if o := done.Outcome; !o.Consistent {
		p.warn("the keys are of no single moment: somebody wrote between index %d and %d, in %d attempts", o.FirstIndex, o.LastIndex, o.Restarts+1)
	}
	return o.report(p, to, done, opener(recipients))
}

// warnOfIdentity says what follows when nothing tells which cluster was backed up.
func (o *backupOptions) warnOfIdentity(p *printer, done ferry.BackedUp) {
	id := done.Source.Identity()
	switch {
	case id.State == etcdwalk.IdentityUID:
	case done.Source.ClusterID == 0:
		p.warn("which cluster this is cannot be told: kube-system's UID under %s is %s, and this etcd has no cluster id. prune keeps each such archive, and latest does not choose among them", id.Prefix, id)
	case id.State == etcdwalk.IdentityUnreadable && o.cluster == "":
		p.warn("which cluster this is cannot be told: kube-system's UID under %s is %s. Set --cluster NAME. "+
			"Without it this archive has the label %s, which was made and other clusters can have too: prune keeps each such archive, and latest does not choose among them. "+
			"Earlier archives of this cluster may have another label (kubeferry list shows them): that label goes on with their series, as long as etcd's id is the same",
			id.Prefix, id, done.Receipt.Cluster)
	}
}

// warnOfSource says what is wrong with the cluster, though it was read.
func (o *backupOptions) warnOfSource(p *printer, alarms []etcdwalk.Alarm, doubts []string) {
	for _, alarm := range alarms {
		switch alarm {
		case etcdwalk.AlarmNoSpace:
			p.warn("the cluster has raised the alarm NOSPACE: it takes no writes until it is compacted, defragmented and disarmed")
		case etcdwalk.AlarmCorrupt:
			p.warn("the cluster has raised the alarm CORRUPT: what was read may not be what other members hold")
		}
	}
	for _, doubt := range doubts {
		p.warn("the cluster may be corrupt: %s", doubt)
	}
}

// outsideText says what was not taken because it lies beside the prefixes.
func outsideText(o *etcdwalk.Outside) string {
	if o == nil || o.Keys == 0 {
		return ""
	}
	left, parts := o.Keys, []string{}
	for i, under := range o.Under {
		if i == mostSegments {
			break
		}
		parts = append(parts, fmt.Sprintf("%s %d", under.Segment, under.Keys))
		left -= under.Keys
	}
	if left > 0 {
		parts = append(parts, fmt.Sprintf("others %d", left))
	}
	return fmt.Sprintf("Not taken, since beside these prefixes: %s (%s); --prefix / takes all keys.", counted(o.Keys, "key"), strings.Join(parts, ", "))
}

// counted is a number with its noun.
func counted(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// mostSegments is how many first segments a summary names.
const mostSegments = 6

// report tells the end: the path on stdout, one line of figures on stderr.
func (o *backupOptions) report(p *printer, to place, done ferry.BackedUp, opener string) error {
	r, path := done.Receipt, to.path(done.Receipt.Name)
	if to.stdout { // where the archive is, nothing else may go
		p.talk("%s, %d keys of %d kinds at %s in %s; stdout keeps no receipt and was not read back",
			bytesText(r.Size), r.Keys, r.Kinds, moment(done.Outcome, r.Revision), done.Duration.Round(time.Millisecond))
		return nil
	}
	checked := "verified"
	if to.bucket != nil {
		notes := to.bucket.Notes()
		warnOf(p, notes)
		if notes.NotReadBack > 0 {
			checked = "not read back (these credentials may only write)"
		}
	}
	p.result = backupResult{Path: path, Receipt: r, Outcome: done.Outcome, Outside: done.Outside, Checked: checked, Seconds: done.Duration.Seconds(), WalkSeconds: done.Walk.Seconds()}
	p.data("%s", path)
	p.talk("%s: %s, %d keys of %d kinds at %s in %s, %s. Next: kubeferry describe %s%s",
		path, bytesText(r.Size), r.Keys, r.Kinds, moment(done.Outcome, r.Revision), done.Duration.Round(time.Millisecond), checked, path, opener)
	o.tellOutside(p, done.Outside)
	return nil
}

// tellOutside says on a terminal what was not taken.
func (o *backupOptions) tellOutside(p *printer, outside *etcdwalk.Outside) {
	if text := outsideText(outside); text != "" {
		p.talk("%s", text)
	}
}

type backupResult struct {
	Path    string           `json:"path"`
	Receipt catalog.Receipt  `json:"receipt"`
	Outcome etcdwalk.Outcome `json:"outcome"`
	// Outside is what lies beside the prefixes; absent: not known, or a part was
	// asked for.
	Outside *etcdwalk.Outside `json:"outside,omitempty"`
	Checked string            `json:"checked"`
	Seconds float64           `json:"seconds"`
	// WalkSeconds is how long the cluster was read, without what came after it.
	WalkSeconds float64 `json:"walk_seconds"`
}

// look counts what a backup would take.
func (o *backupOptions) look(ctx context.Context, p *printer, s *settings, query kube.Query) error {
	cluster, err := o.connection.dial(ctx, p, s, query.Layout())
	if err != nil {
		return err
	}
	defer cluster.close()
	tell, stop := p.progress()
	defer stop()
	counted, err := ferry.Backup{Source: cluster.source, Query: query, AllowEmpty: o.allowEmpty, AcceptCorrupt: o.corrupt, Progress: tell}.Tally(ctx)
	stop()
	if err != nil {
		return err
	}
	o.warnOfSource(p, counted.Alarms, nil)
	rows := [][]string{{"KIND", "KEYS", "BYTES"}}
	for _, kind := range counted.Kinds {
		rows = append(rows, []string{kindText(kind.Kind), strconv.FormatInt(kind.Keys, 10), bytesText(kind.Bytes)})
	}
	p.result = counted
	p.table(rows)
	p.talk("%d keys, %s at %s; nothing was written", counted.Keys, bytesText(counted.Bytes), moment(counted.Outcome, counted.Revision))
	o.tellOutside(p, counted.Outside)
	return nil
}

// moment says of when the entries are. API v2 reads no past: there it may be of
// more than one moment, which must not go unseen.
func moment(o etcdwalk.Outcome, revision int64) string {
	if o.Consistent {
		return fmt.Sprintf("revision %d", revision)
	}
	return fmt.Sprintf("no single moment (somebody wrote between index %d and %d)", o.FirstIndex, o.LastIndex)
}

// kindText names the keys that belong to no kind.
func kindText(kind string) string {
	if kind == "" {
		return "<other>"
	}
	return kind
}
