package keyspace

import (
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// dice draw the parts of an object.
type dice struct{ *rand.Rand }

// dice returns the dice of one object, the same ones each time.
func (k *Keyspace) dice(sort string, index, round int) dice {
	h := fnv.New64a()
	fmt.Fprint(h, sort, round)
	return dice{rand.New(rand.NewPCG(k.seed^h.Sum64(), uint64(index)))}
}

// pick draws one of the words.
func (d dice) pick(words []string) string { return words[d.IntN(len(words))] }

// between draws a number from low up to but without high.
func (d dice) between(low, high int) int { return low + d.IntN(high-low) }

// bytes draws n bytes that no compressor can do anything with.
func (d dice) bytes(n int) []byte {
	b := make([]byte, n)
	for i := 0; i < n; i += 8 {
		for j, x := i, d.Uint64(); j < min(i+8, n); j, x = j+1, x>>8 {
			b[j] = byte(x)
		}
	}
	return b
}

// hex draws n bytes in hexadecimal.
func (d dice) hex(n int) string { return hex.EncodeToString(d.bytes(n)) }

// uid draws a random UUID.
func (d dice) uid() types.UID {
	b := d.bytes(16)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return types.UID(fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]))
}

// ip draws an address of a pod.
func (d dice) ip() string {
	return fmt.Sprintf("10.%d.%d.%d", d.between(128, 192), d.IntN(256), d.IntN(256))
}

// node draws the name of one of some hundred nodes.
func (d dice) node() string {
	n := d.IntN(300)
	return fmt.Sprintf("ip-10-%d-%d-%d.eu-central-1.compute.internal", n%3, n/16, 17*n%251)
}

// begin is when the made-up cluster was built.
const begin = 1_767_225_600 // 2026-01-01T00:00:00Z

// time draws a moment of the cluster's first half year.
func (d dice) time() metav1.Time { return metav1.Unix(begin+int64(d.IntN(180*24*3600)), 0) }

// after draws a moment up to so many seconds after t.
func (d dice) after(t metav1.Time, seconds int) metav1.Time {
	return metav1.NewTime(t.Add(time.Duration(d.IntN(seconds)) * time.Second))
}

// alphabet is what Kubernetes draws the ends of names from.
const alphabet = "bcdfghjklmnpqrstvwxz2456789"

// suffix is five letters, a different one for each index below 27^5, about 14
// million: names must not collide.
func suffix(index int) string {
	const all = 27 * 27 * 27 * 27 * 27
	x := uint64(index) * 10_368_889 % all // coprime with 27, so a permutation
	var b [5]byte
	for i := range b {
		b[i] = alphabet[x%27]
		x /= 27
	}
	return string(b[:])
}

// text draws a file of settings of about n bytes.
func (d dice) text(n int) string {
	var b strings.Builder
	b.Grow(n + 80)
	for b.Len() < n {
		switch d.IntN(4) {
		case 0:
			fmt.Fprintf(&b, "# %s %s the %s of %s\n", d.pick(verbs), d.pick(nouns), d.pick(nouns), d.pick(teams))
		case 1:
			fmt.Fprintf(&b, "%s.%s.%s = %d\n", d.pick(teams), d.pick(nouns), d.pick(settings), d.IntN(20)*50)
		case 2:
			fmt.Fprintf(&b, "%s.%s.url = http://%s-%s.%s.svc.cluster.local:8080/v1/%s\n",
				d.pick(teams), d.pick(nouns), d.pick(teams), d.pick(components), d.pick(environments), d.pick(nouns))
		default:
			fmt.Fprintf(&b, "  %s_%s: %s\n", d.pick(nouns), d.pick(settings), d.pick(verbs))
		}
	}
	return b.String()
}

var (
	teams = []string{
		"checkout", "payments", "catalog", "search", "identity", "billing", "shipping", "inventory", "pricing", "reviews",
		"analytics", "messaging", "media", "fraud", "support", "partners", "ingest", "reports", "platform", "mobile",
	}
	environments = []string{"prod", "staging", "dev", "qa", "preview"}
	components   = []string{"api", "worker", "web", "gateway", "scheduler", "consumer", "cache", "exporter", "migrator", "proxy", "cron", "admin"}
	nouns        = []string{
		"request", "session", "queue", "batch", "order", "customer", "token", "cache", "invoice", "product", "event", "stream",
		"record", "index", "policy", "tenant", "region", "bucket", "topic", "worker", "pool", "timeout", "retry", "threshold",
	}
	settings = []string{"limit", "timeout", "enabled", "interval", "size", "max", "min", "ttl", "window", "level", "mode", "backoff"}
	verbs    = []string{"sends", "keeps", "drops", "retries", "counts", "merges", "splits", "expires", "reads", "writes", "checks", "renews"}
)
