package cmd

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/cmd/flags"
)

// A topic is a page of the help that belongs to no command.
type topic struct {
	name, text string
	flags      bool // its flags follow
}

// topics are the pages, as help lists them.
var topics = []topic{
	{"selection", selectionTopic, true},
	{"rules", "", false},
	{"keys", keysTopic, true},
	{"connection", connectionTopic, true},
	{"s3", s3Topic, true},
	{"config", configTopic, false},
	{"options", "Flags that every command has.", true},
	{"exit-codes", "", false},
}

func topicNames() []string {
	var names []string
	for _, t := range topics {
		names = append(names, t.name)
	}
	return names
}

// page is what help shows.
func (t topic) page(root *cobra.Command) string {
	switch {
	case t.name == "exit-codes":
		return exitCodesText()
	case t.name == "rules":
		return rulesText()
	case t.flags:
		return t.text + "\n\nFlags:\n" + flags.Topic(root, t.name)
	}
	return t.text + "\n"
}

const selectionTopic = `Positional arguments select objects, as in kubectl:

  deployments          all objects of a type: plural, singular or short name
  deploy,cm            two types
  cm/settings          one object by its name
  'cm/web-*'           objects by a pattern: * any characters, ? one
  widgets.example.com  a custom resource: PLURAL.GROUP
  all                  what kubectl means: pods, services, workloads, and custom
                       resources of that category; no ConfigMaps, no Secrets

-n NAME limits the selection to a namespace; without it objects of all
namespaces are selected. A restore of one name that exists in several namespaces
needs -n or -A. --exclude takes the same syntax and overrides the selection.
-l takes kubectl's label selectors: app=web, tier!=db, env in (a,b), !legacy.
Labels of values that the API server has encrypted at rest can be read only with
its --encryption-config; without it, selecting by labels is refused.
Without arguments everything that Kubernetes keeps in etcd is selected, with -n
what is in that namespace, and the Namespace object itself.

A selection that matches nothing is an error (exit code 10); backup and restore
take --allow-empty. A type that is neither compiled into Kubernetes nor of the
form PLURAL.GROUP is refused, with the nearest one that exists.`

const keysTopic = `Archives are encrypted with age (https://age-encryption.org).

  kubeferry keygen --out kubeferry.identity   make a key pair
  backup -r age1… or -R recipients.txt        encrypt for its recipient
  restore -i kubeferry.identity               decrypt with its identity
  backup --passphrase, restore --passphrase   use a passphrase instead

A passphrase comes from --passphrase-file, --passphrase-command,
--passphrase-fd, --passphrase (which asks on the terminal), systemd's credential
"passphrase", or KUBEFERRY_PASSPHRASE; never from the command line, which
everybody can read. Files with secrets must be yours or root's, with mode 0600.

An archive can be for several recipients, or for one passphrase: age does not
mix them. age decrypts archives too: age -d -i kubeferry.identity x.zip.age`

const connectionTopic = `Clusters are named as etcdctl names them: by flags, or by the variables
ETCDCTL_ENDPOINTS, ETCDCTL_CACERT, ETCDCTL_CERT, ETCDCTL_KEY and so on.

Each endpoint is tried on its own; one that cannot be used is left out with a
warning. Plain text to another machine needs --insecure-transport.`

const s3Topic = `Places in S3 are written s3://BUCKET/PREFIX. Endpoint and region of a store
other than AWS can be in the query string:
  s3://backups/prod?endpoint=https://minio.example.com&region=eu

Credentials come from the systemd credentials s3-access-key and s3-secret-key,
or else from the standard AWS chain: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
the shared files, web identities, the instance's role.
scripts/s3-policies in the repository has the rights that each command needs.

What a store does not know, such as checksum headers or If-None-Match, is found
out and asked for in another way, which is told. A listing that is no listing,
goes back or does not end is a failing store (16), and never an empty place.

--s3-storage-class GLACIER or DEEP_ARCHIVE is for the archive alone, which is
then not read back; its receipt stays readable. To restore or verify it, fetch
it first: the message (16) has the command. Archives whose receipts a lifecycle
rule has moved are passed over by latest and check, and kept by prune.

Before prune removes anything, archives that this machine has stored or seen
(--state-dir) must be listed, and a second listing must agree with the first.`

const configTopic = `Precedence: flag, KUBEFERRY_*, ETCDCTL_*, profile, default.

Every flag has a variable: --recipients-file is KUBEFERRY_RECIPIENTS_FILE. The
configuration file is /etc/kubeferry/config.yaml, or else
~/.config/kubeferry/config.yaml:

  default_profile: prod
  profiles:
    - name: prod
      endpoints: [https://10.0.0.1:2379]
      cacert: /etc/kubernetes/pki/etcd/ca.crt
      cert: /etc/kubernetes/pki/etcd/server.crt
      key: /etc/kubernetes/pki/etcd/server.key
      to: /var/backups/etcd
      recipients_file: /etc/kubeferry/recipients.txt

A profile can also set: cluster, cluster_is, user, password_file, identity_file,
s3_endpoint, s3_region, s3_cacert, s3_profile, spool_dir. It holds no secrets.`

// exitCodesText is the table of exit codes.
func exitCodesText() string {
	var b strings.Builder
	b.WriteString("Each command ends with one of these codes; treat unknown ones as failure.\n\n")
	for _, row := range byCode() {
		fmt.Fprintf(&b, "%5d  %s\n", row.code, row.meaning)
	}
	return b.String()
}
