package cmd

import (
	"context"
	"fmt"
	"strconv"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

// keyed is one object of describe --keys.
type keyed struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	Bytes     int64  `json:"bytes"`
	Revision  int64  `json:"revision"`
	Key       []byte `json:"key"`
}

// objectLine is the object as a line of JSON.
type objectLine struct {
	console.Message
	Object keyed `json:"object"`
}

// objectsResult counts the objects that were shown, and the bytes of the archive that
// were read for it.
type objectsResult struct {
	Objects      int64 `json:"objects"`
	ArchiveBytes int64 `json:"archive_bytes,omitempty"`
}

// objectColumns has fixed widths: the lines are not known when the first goes out.
const objectColumns = "%-40s %-24s %-48s %10s %10s"

// objects shows each object. Lines go out as they are read: an archive can
// hold more of them than memory.
func (o *describeOptions) objects(ctx context.Context, a *ferry.Archive, query kube.Query) error {
	first, several := true, len(a.Manifest().Prefixes) > 0
	shown, err := ferry.Look{Source: a, Query: query}.Keys(ctx, func(_ etcdwalk.View, class etcdwalk.Class, e etcdwalk.Entry) bool {
		if first {
			o.s.Data(objectColumns, "KIND", "NAMESPACE", "NAME", "SIZE", "REVISION")
		}
		first = false
		name := class.Name
		if name == "" {
			name = fmt.Sprintf("%q", e.Key)
		}
		if several { // the same namespaces can be under each
			name = fmt.Sprintf("%s (%s)", name, console.OrNone(class.Prefix))
		}
		if o.s.JSON {
			o.s.Object(objectLine{console.NewMessage("object"), keyed{
				class.Kind, class.Namespace, class.Name, e.Size(), e.ModRevision, e.Key,
			}})
			return true
		}
		o.s.Data(objectColumns, kindText(class.Kind), console.OrNone(class.Namespace), name, console.Bytes(e.Size()), strconv.FormatInt(e.ModRevision, 10))
		return true
	})
	if err != nil {
		return fmt.Errorf("look into the archive: %w", err)
	}
	o.s.Result = objectsResult{shown, a.BytesRead()}
	return nil
}
