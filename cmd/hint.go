package cmd

import (
	"errors"
	"io/fs"

	"github.com/kubeferry/kubeferry/archive"
	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/cmd/ferry/undo"
	"github.com/kubeferry/kubeferry/crypt"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd2"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd3"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/replay/journal"
	"github.com/kubeferry/kubeferry/remote/catalog"
	"github.com/kubeferry/kubeferry/remote/dir"
	"github.com/kubeferry/kubeferry/remote/s3"
)

// hints are the next steps after errors that have one. The first that fits is
// printed; one without a command fits them all.
var hints = []struct {
	cause   error
	command string
	text    string
}{
	{console.ErrInterrupted, "backup", "no unfinished archive is left under its name; run the same command again"},
	{catalog.ErrReceiptLost, "", "kubeferry receipt PLACE/NAME -i IDENTITY recreates the receipt of an archive; until then only list --all shows it. Let prune put receipts back: scripts/s3-policies has the right for S3"},
	{object.ErrSealed, "", "--encryption-config FILE, the configuration of the API server, opens values encrypted at rest"},
	{ferry.ErrNoKey, "", "name the identity with -i FILE, or the passphrase with --passphrase or --passphrase-file"},
	{crypt.ErrNoMatch, "undo", "what a restore takes away is encrypted for the identities that it was given, or for its -r: name one of these; kubeferry undo --list shows what else is kept"},
	{crypt.ErrDamaged, "undo", "kubeferry undo --list shows what else is kept"},
	{archive.ErrDamaged, "undo", "kubeferry undo --list shows what else is kept"},
	{journal.ErrDamaged, "undo", "kubeferry undo --list shows what else is kept"},
	{crypt.ErrNoMatch, "", "the archive was made for other recipients, or with another passphrase; kubeferry list shows the archives of a folder"},
	{archive.ErrTooNew, "", "take a newer kubeferry"},
	{crypt.ErrDamaged, "backup", "look at the disk, and back up to another place"},
	{archive.ErrDamaged, "backup", "look at the disk, and back up to another place"},
	{crypt.ErrDamaged, "", "take another copy of the archive, or an older archive"},
	{archive.ErrDamaged, "", "take another copy of the archive, or an older archive"},
	{ferry.ErrPolicy, "", "if you trust this archive nevertheless: --accept-unencrypted accepts an unencrypted one; a receipt that disagrees must be moved away"},
	{replay.ErrConflict, "", "--on-conflict=skip keeps what the cluster holds, =overwrite takes the archive's; --dry-run shows the plan, and one that was kept (--plan) is to be made anew"},
	{etcdwalk.ErrRefused, "prune", "--dry-run shows what would go; --max-delete-percent allows more"},
	{catalog.ErrDoubt, "", "kubeferry list shows what is there; move away what does not belong, or set the clock"},
	{catalog.ErrHidden, "", "run the same command again; where the listing stays wrong, ask who runs the store. Nothing was removed"},
	{ferry.ErrAmbiguous, "", "name the one that is meant with --api v2 or --api v3"},
	{etcd2.ErrNoAPI, "", "--api v3 speaks to it over the API that it has"},
	{etcd3.ErrNoAPI, "", "--api v2 speaks to it over the older API, if it serves that"},
	{etcd2.ErrTooLarge, "", "select less, such as one kind or namespace at a time, or allow more memory with --max-v2-answer BYTES"},
	{connect.ErrInsecureTransport, "", "use https:// endpoints with --cacert, --cert and --key, or say --insecure-transport"},
	{s3.ErrPlainHTTP, "", "use an https:// endpoint, with --s3-cacert where its CA is your own, or say --s3-allow-http"},
	{s3.ErrNoCredentials, "", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile with --s3-profile"},
	{s3.ErrNoBucket, "", "--to and --store name it as s3://bucket/prefix, --s3-endpoint and --s3-region say where it is"},
	{s3.ErrNoLock, "", "object lock is chosen when a bucket is made; name one that has it, or leave --retain-for out"},
	{s3.ErrUnavailable, "", "--s3-endpoint, --s3-region and --s3-cacert say how the store is reached; -v tells more"},
	{dir.ErrUnfit, "", "name a folder on an ordinary disk, or a bucket as s3://BUCKET/PREFIX; where it is a mount, its options may allow more (mountpoint-s3: --allow-delete)"},
	{dir.ErrReserved, "", "if no other run is publishing there, remove the empty file, and run the same command again"},
	{dir.ErrShared, "", "chmod o-w the folder, name another, or say --allow-shared-folder"},
	{ferry.ErrEmpty, "backup", "kubeferry backup --dry-run shows what there is; --allow-empty takes an empty selection"},
	{ferry.ErrEmpty, "restore", "kubeferry describe ARCHIVE shows what it holds; --allow-empty takes an empty selection"},
	{ferry.ErrEmpty, "describe", "kubeferry describe ARCHIVE without --keys shows what it holds"},
	{etcdwalk.ErrCompacted, "", "select less, or raise the API server's --etcd-compaction-interval for the time of the backup"},
	{undo.ErrLocked, "", "wait until it has ended, and run the same command again"},
	{journal.ErrNoSpace, "", "make room there, or name another folder (--spool-dir)"},
	{journal.ErrDamaged, "", "make a new plan"},
	{etcdwalk.ErrNoSpace, "", "compact and defragment etcd, raise its quota, disarm the alarm (etcdctl alarm disarm), and run the same command again"},
	{etcdwalk.ErrDenied, "", "a client certificate is given with --cert and --key, a user with --user and --password-file; where rights reach over some prefixes only, name these with --prefix"},
	{etcdwalk.ErrUnavailable, "", "--endpoints, --cacert, --cert and --key name the cluster, or ETCDCTL_ENDPOINTS and so on; -v tells more"},
	{ferry.ErrCorrupt, "backup", "etcdctl endpoint hashkv tells which member differs; an endpoint of a good one, or --accept-corrupt-source, which marks the archive"},
	{ferry.ErrCorrupt, "restore", "etcdctl endpoint hashkv tells which member differs; replace it, then disarm the alarm (etcdctl alarm disarm)"},
	{fs.ErrExist, "receipt", "there is nothing to do"},
	{catalog.ErrMismatch, "", "kubeferry verify tells what agrees; a receipt that does not must be moved away, and kubeferry receipt ARCHIVE -i IDENTITY makes the right one"},
	{catalog.ErrReceipt, "", "move it away; kubeferry receipt ARCHIVE -i IDENTITY recreates it"},
	{fs.ErrExist, "", "kubeferry never overwrites; name another place"},
}

// hintFor returns the next step after an error of a command, if there is one to
// tell.
func hintFor(command string, err error) string {
	for _, h := range hints {
		if errors.Is(err, h.cause) && (h.command == "" || h.command == command) {
			return h.text
		}
	}
	return ""
}
