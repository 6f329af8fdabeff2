package cmd

import (
	"errors"
	"io/fs"

	"github.com/kubeferry/kubeferry/archive"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/crypt"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd3"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/remote/dir"
)

// hints are the next steps after errors that have one. The first that fits is
// printed.
var hints = []struct {
	cause error
	text  string
}{
	{ferry.ErrNoKey, "name the identity with -i FILE, or the passphrase with --passphrase or --passphrase-file"},
	{crypt.ErrNoMatch, "the archive was made for other recipients, or with another passphrase; kubeferry list shows the archives of a folder"},
	{archive.ErrTooNew, "take a newer kubeferry"},
	{crypt.ErrDamaged, "nothing was written anywhere; take another copy of the archive, or an older archive"},
	{archive.ErrDamaged, "nothing was written anywhere; take another copy of the archive, or an older archive"},
	{ferry.ErrPolicy, "if you trust this archive nevertheless: --accept-unencrypted takes one in the clear; a receipt that disagrees must be moved away"},
	{replay.ErrConflict, "--on-conflict=skip keeps what the cluster holds, =overwrite takes the archive's; --dry-run shows the plan"},
	{etcd3.ErrInsecureTransport, "use https:// endpoints with --cacert, --cert and --key, or say --insecure-transport"},
	{dir.ErrShared, "chmod o-w the folder, name another, or say --allow-shared-folder"},
	{ferry.ErrEmpty, "kubeferry backup --dry-run shows what there is; --allow-empty takes an empty selection"},
	{etcdwalk.ErrCompacted, "select less, or raise the API server's --etcd-compaction-interval for the time of the backup"},
	{replay.ErrNoSpace, "compact and defragment etcd, raise its quota, disarm the alarm (etcdctl alarm disarm), and run the same command again"},
	{fs.ErrExist, "kubeferry never overwrites; name another place"},
}

// hintFor returns the next step after err, if there is one to tell.
func hintFor(err error) string {
	for _, h := range hints {
		if errors.Is(err, h.cause) {
			return h.text
		}
	}
	return ""
}
