package archive

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/kubeferry/kubeferry/archive/strictjson"
	"github.com/kubeferry/kubeferry/etcdwalk"
)

var (
	// ErrDamaged: these bytes are not an archive, or not what was once written.
	ErrDamaged = errors.New("the archive is damaged")
	// ErrTooNew: only a newer kubeferry can read the archive.
	ErrTooNew = errors.New("the archive needs a newer kubeferry")
	// ErrLimit: the format does not allow as much.
	ErrLimit = errors.New("more than the format allows")
)

// damaged makes an [ErrDamaged] that says what is wrong.
func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrDamaged, fmt.Errorf(format, args...))
}

// A Format is a version of the format. A reader refuses another Major and
// ignores what a higher Minor adds.
type Format struct {
	Major int `json:"major"`
	Minor int `json:"minor"`
}

// A Header says where an archive comes from; it is written before the walk.
type Header struct {
	// Format, Features and Kind are set by [NewWriter]. Features are those
	// that a reader must know; Kind is "full".
	Format   Format   `json:"format"`
	Features []string `json:"features"`
	Kind     string   `json:"kind"`
	// ArchiveID is 16 bytes in hexadecimal. NewWriter makes one if it is empty.
	ArchiveID string `json:"archive_id"`
	// Cluster is the label of the cluster; LabelTyped says that it is the user's,
	// and not made from what identifies the cluster.
	Cluster    string    `json:"cluster"`
	LabelTyped bool      `json:"label_typed,omitempty"`
	Selection  Selection `json:"selection"`
	// Sources are the views that the entries come from: exactly one.
	Sources     []etcdwalk.Info `json:"sources"`
	ToolVersion string          `json:"tool_version"`
	// Created is kept in UTC, to the second.
	Created time.Time `json:"created"`
	Host    string    `json:"host"`
}

// A Selection is what the user typed to select keys. Whole says that it was
// the whole keyspace under the default prefixes. Digest and Text are what the
// receipt tells of it: see package kube.
type Selection struct {
	Whole      bool     `json:"whole"`
	Digest     string   `json:"digest,omitempty"`
	Text       string   `json:"text,omitempty"`
	Include    []string `json:"include,omitempty"`
	Exclude    []string `json:"exclude,omitempty"`
	Namespaces []string `json:"namespaces,omitempty"`
	Prefixes   []string `json:"prefixes,omitempty"`

	ExcludeNamespaces []string `json:"exclude_namespaces,omitempty"`
	Labels            string   `json:"labels,omitempty"`
	Fields            string   `json:"fields,omitempty"`
}

// An Ending is what is known only after the walk.
type Ending struct {
	Outcome etcdwalk.Outcome
	// Leases tells of each id that [Writer.LeaseIDs] has, in any order.
	Leases []etcdwalk.Lease
	// TakenAt is when the leases were asked for.
	TakenAt time.Time
	// Outside is what the source holds beside the prefixes that were taken; nil:
	// it was not counted, or could not be.
	Outside *etcdwalk.Outside
	// Sealed counts the values that were encrypted at rest, in any order; nil: they
	// were not counted.
	Sealed []SealedTotal
}

// A Manifest says what an archive holds; it is written last.
type Manifest struct {
	Outcome  etcdwalk.Outcome `json:"outcome"`
	Segments []Segment        `json:"segments"`
	Totals   Totals           `json:"totals"`
	// Kinds are the totals per kind and namespace, ascending. The kinds and
	// namespaces are what the writer's classify made of the keys.
	Kinds []KindTotal `json:"kinds"`
	// Prefixes are the same totals apart for each prefix, if the keys lie under
	// several: their namespaces are not each other's.
	Prefixes []PrefixTotal `json:"prefixes,omitempty"`
	// Outside is what the source holds beside the prefixes that were taken, as far
	// as it is known.
	Outside *etcdwalk.Outside `json:"outside,omitempty"`
	// Sealed counts the values that are encrypted at rest, ascending by kind and
	// encoding; nil: they were not counted, as before format 1.1.
	Sealed []SealedTotal `json:"sealed,omitzero"`
	// HeaderSHA256 and LeasesSHA256 are those of header.json and leases.json,
	// in hexadecimal, so that the manifest vouches for them too.
	HeaderSHA256 string `json:"header_sha256"`
	LeasesSHA256 string `json:"leases_sha256"`
	// Nonce is 16 random bytes in hexadecimal: a digest of the manifest tells
	// nothing about what it says.
	Nonce string `json:"nonce"`
}

// Totals count entries. Bytes are those of keys and values.
type Totals struct {
	Keys  int64 `json:"keys"`
	Bytes int64 `json:"bytes"`
}

// A KindTotal counts the entries of one kind in one namespace. Kind is empty
// for keys outside of all kinds, Namespace for what lies in none.
type KindTotal struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Totals
}

// A PrefixTotal has the totals of the keys under one prefix; it is empty for keys
// outside of all.
type PrefixTotal struct {
	Prefix string      `json:"prefix"`
	Kinds  []KindTotal `json:"kinds"`
}

// A SealedTotal counts the values of one kind that are stored encrypted with one key.
// Encoding names it as the values do, as in "k8s:enc:aescbc:v1:key1".
type SealedTotal struct {
	Kind     string `json:"kind"`
	Encoding string `json:"encoding"`
	Keys     int64  `json:"keys"`
}

// A Segment describes one data file.
type Segment struct {
	Name string `json:"name"`
	// Source is the place in [Header].Sources.
	Source   int    `json:"source"`
	Kind     string `json:"kind"`
	FirstKey []byte `json:"first_key"`
	LastKey  []byte `json:"last_key"`
	Keys     int64  `json:"keys"`
	// Size is that of the unpacked segment, CompressedSize that of the frame in
	// the archive, both in bytes. SHA256, in hexadecimal, is of the frame: it is
	// cheaper than that of the content, and finds more, since zstd unpacks some
	// damaged frames to the right content. The content has CRCs.
	Size           int64  `json:"size"`
	CompressedSize int64  `json:"compressed_size"`
	SHA256         string `json:"sha256"`
}

// leaseList is the content of leases.json. Leases are in ascending order.
type leaseList struct {
	TakenAt time.Time        `json:"taken_at"`
	Leases  []etcdwalk.Lease `json:"leases"`
}

// encodeJSON writes v as one line, or indented for people.
func encodeJSON(name string, limit int, v any, indent string) ([]byte, error) {
	text, err := json.MarshalIndent(v, "", indent)
	if indent == "" {
		text, err = json.Marshal(v)
	}
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", name, err)
	}
	if text = append(text, '\n'); len(text) > limit {
		return nil, fmt.Errorf("%s would have %d bytes: the format allows %d%.0w", name, len(text), limit, ErrLimit)
	}
	return text, nil
}

func decodeJSON(name string, text []byte, v any) error {
	if err := strictjson.Unmarshal(text, v); err != nil {
		return damaged("%s: %w", name, err)
	}
	return nil
}
