package cmd

import (
	"fmt"
	"strings"

	"github.com/kubeferry/kubeferry/archive"
	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/cmd/flags"
	"github.com/kubeferry/kubeferry/crypt"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/remote/catalog"
	"github.com/kubeferry/kubeferry/remote/dir"
)

// opener is the flag that opens what was encrypted to the recipients.
func opener(recipients []crypt.Recipient) string {
	switch {
	case len(recipients) == 0:
		return ""
	case recipients[0].IsPassphrase():
		return " --passphrase"
	}
	return " -i IDENTITY"
}

// warn says what there is to know of an archive that was published all the same.
func (o *backupOptions) warn(done ferry.BackedUp) {
	warnUnstorable(o.s, done.ReadBack)
	o.warnOfIdentity(done)
	o.warnOfSource(done.Source.Alarms, done.Outcome.Doubts)
	if o.members && done.Members < 2 {
		o.s.Warn("--verify-members compared nothing: it takes two endpoints or more, and with etcd's users the right of root")
	}
	if out := done.Outcome; !out.Consistent {
		o.s.Warn("the keys are of no single moment: somebody wrote between index %d and %d, in %d attempts", out.FirstIndex, out.LastIndex, out.Restarts+1)
	}
}

// warnOfIdentity says what follows when nothing tells which cluster was backed up.
func (o *backupOptions) warnOfIdentity(done ferry.BackedUp) {
	id := done.Source.Identity()
	switch {
	case id.State == etcdwalk.IdentityUID:
	case done.Source.ClusterID == 0:
		o.s.Warn("it is not known which cluster this is: kube-system's UID under %s is %s, and this etcd has no cluster id. prune keeps each such archive, and latest does not choose among them", id.Prefix, id)
	case id.State == etcdwalk.IdentityUnreadable && o.cluster == "":
		o.s.Warn("it is not known which cluster this is: kube-system's UID under %s is %s. Set --cluster NAME. "+
			"Without it this archive has the label %s, which was made and other clusters can have too: prune keeps each such archive, and latest does not choose among them. "+
			"Earlier archives of this cluster may have another label (kubeferry list shows them): that label goes on with their series, as long as etcd's id is the same",
			id.Prefix, id, done.Receipt.Cluster)
	}
}

// warnOfSource says what is wrong with the cluster, though it was read.
func (o *backupOptions) warnOfSource(alarms []etcdwalk.Alarm, doubts []string) {
	for _, alarm := range alarms {
		switch alarm {
		case etcdwalk.AlarmNoSpace:
			o.s.Warn("the cluster has raised the alarm NOSPACE: it takes no writes until it is compacted, defragmented and disarmed")
		case etcdwalk.AlarmCorrupt:
			o.s.Warn("the cluster has raised the alarm CORRUPT: what was read may not be what other members hold")
		}
	}
	for _, doubt := range doubts {
		o.s.Warn("the cluster may be corrupt: %s", doubt)
	}
}

// summary is what was backed up, in figures.
func summary(done ferry.BackedUp) string {
	r := done.Receipt
	return fmt.Sprintf("Backed up %s (%s), %s, %s, %.1f s", console.Count(r.Keys, "key"), console.Count(int64(r.Kinds), "kind"),
		console.Bytes(r.Size), moment(done.Outcome, r.Revision), done.Duration.Seconds())
}

// report prints the end: the path on stdout, a line of figures and the next step on
// stderr.
func (o *backupOptions) report(to flags.Place, folder dir.Notes, done ferry.BackedUp, opener string) error {
	r, path := done.Receipt, to.Path(done.Receipt.Name)
	if to.Stdout { // where the archive is, nothing else may go
		o.s.Talk("%s, not read back; stdout has no receipt.", summary(done))
		return nil
	}
	checked := "verified"
	notes := to.Notes()
	if notes.NotCreateOnly {
		o.s.Warn("this S3 store does not keep two writers from one name; only the random part of an archive's name does")
	}
	if notes.LockUnseen > 0 {
		o.s.Talk("Whether the store has locked the archive as asked is not known: these credentials may not look.")
	}
	if notes.Lacks != "" {
		o.s.Talk("This S3 store does not %s: it was asked in another way, and nothing is lost by it.", notes.Lacks)
	}
	switch {
	case notes.Cold > 0:
		checked = "not read back (stored cold)"
	case notes.NotReadBack > 0:
		checked = "not read back (these credentials may only write)"
	}
	to.Remember(r.Name)
	o.s.Result = backupResult{Path: path, Folder: folder, Receipt: r, Outcome: done.Outcome, Outside: done.Outside, Sealed: done.Sealed, Named: done.Named, Checked: checked, Seconds: done.Duration.Seconds(), WalkSeconds: done.Walk.Seconds()}
	o.s.Data("%s", path)
	o.s.Talk("%s, %s.", summary(done), checked)
	o.s.Talk("Next: kubeferry describe %s%s%s", console.Quote(path), opener, o.s.Again())
	if text := folderText(folder); text != "" {
		o.s.Talk("This folder is no ordinary disk: %s.", text)
	}
	o.tellOutside(done.Outside)
	o.tellSealed(done.Sealed)
	return nil
}

// folderText says what is not as on an ordinary disk; nothing where all is.
func folderText(n dir.Notes) string {
	var parts []string
	switch n.Naming {
	case dir.Reserve:
		parts = append(parts, "an empty file reserves an archive's name until it is whole ("+n.Why+")")
	case dir.Copy:
		parts = append(parts, "an archive is copied there under its name, since nothing can be renamed ("+n.Why+")")
	}
	if n.NoLocks != "" {
		parts = append(parts, "what a killed run leaves is not removed, since there are no locks ("+n.NoLocks+")")
	}
	return strings.Join(parts, "; ")
}

type backupResult struct {
	Path string `json:"path"`
	// Folder is what a folder is not able to do; absent where it is like any disk.
	Folder  dir.Notes        `json:"folder,omitzero"`
	Receipt catalog.Receipt  `json:"receipt"`
	Outcome etcdwalk.Outcome `json:"outcome"`
	// Outside is what lies beside the prefixes; absent: not known, or a part was
	// asked for.
	Outside *etcdwalk.Outside `json:"outside,omitempty"`
	// Sealed counts the values that are encrypted at rest.
	Sealed []archive.SealedTotal `json:"sealed"`
	// Named counts the namespaces of what was called by a name without one.
	Named   []kube.InNamespaces `json:"named,omitempty"`
	Checked string              `json:"checked"`
	Seconds float64             `json:"seconds"`
	// WalkSeconds is how long the cluster was read, without what came after it.
	WalkSeconds float64 `json:"walk_seconds"`
}
