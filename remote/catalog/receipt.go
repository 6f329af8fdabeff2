package catalog

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/kubeferry/kubeferry/archive/strictjson"
	"github.com/kubeferry/kubeferry/remote"
)

var (
	// ErrReceipt: an object that is no receipt, or one of a format that only a
	// newer kubeferry knows.
	ErrReceipt = errors.New("no usable receipt")
	// ErrReserved: of a receipt there is no more than its name, taken by a run that goes
	// on, or was killed. It is an fs.ErrNotExist.
	ErrReserved = fmt.Errorf("an empty receipt, which only reserves its name%.0w", fs.ErrNotExist)
	// ErrMismatch: an archive and a receipt that do not belong together.
	ErrMismatch = errors.New("archive and receipt do not match")
)

// The version of the receipt's format that this package writes. It reads every
// minor version: unknown members are ignored.
const (
	formatMajor = 1
	formatMinor = 1
)

// Bounds on what a receipt may hold, in bytes. A genuine one has about 600.
const (
	maxReceipt = 64 << 10
	maxText    = 128
	maxScope   = 512 // the text of a selection
)

// A Format is the version of a receipt.
type Format struct {
	Major int `json:"major"`
	Minor int `json:"minor"`
}

// A Receipt describes an archive to those who hold no key.
type Receipt struct {
	Format Format `json:"format"`
	// ArchiveID is the one in the archive's header: 16 bytes in hexadecimal.
	ArchiveID string `json:"archive_id"`
	// Name, Size and SHA256 (in hexadecimal) are those of the object, so of the
	// ciphertext if it is encrypted.
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	// Created is kept in UTC, to the second.
	Created time.Time `json:"created"`
	// ClusterID is etcd's, in hexadecimal. Identity is what is known of the
	// cluster by its namespace kube-system: uid, none, or unreadable; empty in a
	// receipt of format 1.0. KubeSystemUID is the UID, if it is known.
	ClusterID     string `json:"cluster_id"`
	Identity      string `json:"identity,omitempty"`
	KubeSystemUID string `json:"kube_system_uid"`
	// Cluster is the label; LabelTyped says that the user gave it.
	Cluster    string `json:"cluster"`
	LabelTyped bool   `json:"label_typed,omitempty"`
	Revision   int64  `json:"revision"`
	// Keys and Kinds count what is in the archive.
	Keys  int64 `json:"keys"`
	Kinds int   `json:"kinds"`
	// Whole: the selection was the whole keyspace. Selection tells of others,
	// too.
	Whole     bool      `json:"whole"`
	Selection Selection `json:"selection,omitzero"`
	// OutsideKeys counts the keys of the source that lie beside the prefixes that
	// were taken; nil: it is not known.
	OutsideKeys *int64 `json:"outside_keys,omitempty"`
	// CorruptSource: the cluster called itself corrupt, or its members disagreed, and
	// the user took it nevertheless.
	CorruptSource bool `json:"corrupt_source,omitempty"`
	// RetainUntil is until when the store keeps the archive locked; zero if it
	// does not.
	RetainUntil time.Time `json:"retain_until,omitzero"`
	ToolVersion string    `json:"tool_version"`
}

// A Selection is what was selected, without the words: two archives of one Digest
// (in hexadecimal) are of the same words. Text is for people, and has kinds and
// numbers, and no names. Both are empty in a receipt of format 1.0.
type Selection struct {
	Digest string `json:"digest"`
	Text   string `json:"text"`
}

// The states of a receipt's Identity.
const (
	identityUID        = "uid"
	identityNone       = "none"
	identityUnreadable = "unreadable"
)

// NewReceipt completes r, to which the caller has given all else, with the
// format and with what the digest says.
func NewReceipt(r Receipt, archive remote.Digest) Receipt {
	r.Format = Format{formatMajor, formatMinor}
	r.Size, r.SHA256 = archive.Size, hex.EncodeToString(archive.SHA256[:])
	r.Created = r.Created.UTC().Truncate(time.Second)
	return r
}

// Check holds the receipt against the archive of that name, size and digest. A
// difference is [ErrMismatch].
func (r Receipt) Check(name string, size int64, digest [sha256.Size]byte) error {
	switch {
	case r.Name != name:
		return fmt.Errorf("%w: the receipt of %s names %s", ErrMismatch, name, r.Name)
	case r.Size != size:
		return fmt.Errorf("%w: %s has %d bytes, and %d by its receipt", ErrMismatch, name, size, r.Size)
	case r.SHA256 != hex.EncodeToString(digest[:]):
		return fmt.Errorf("%w: %s has the SHA-256 %x, and %s by its receipt", ErrMismatch, name, digest, r.SHA256)
	}
	return nil
}

// Differs holds what the receipt claims against what the archive says of itself,
// and returns the first claim that is another; an empty word if there is none. The
// digest of the object and its lock are not the archive's to tell.
func (r Receipt) Differs(archive Receipt) (what, claim, truth string) {
	outside := func(r Receipt) string {
		if r.OutsideKeys == nil {
			return "unknown"
		}
		return strconv.FormatInt(*r.OutsideKeys, 10)
	}
	for _, c := range []struct{ what, claim, truth string }{
		{"id", r.ArchiveID, archive.ArchiveID},
		{"size", fmt.Sprint(r.Size), fmt.Sprint(archive.Size)},
		{"created", r.Created.Format(time.RFC3339), archive.Created.UTC().Format(time.RFC3339)},
		{"cluster id", r.ClusterID, archive.ClusterID},
		{"identity", cmp.Or(r.Identity, "not told"), cmp.Or(archive.Identity, "not told")},
		{"kube-system UID", cmp.Or(r.KubeSystemUID, "none"), cmp.Or(archive.KubeSystemUID, "none")},
		{"cluster", r.Cluster, archive.Cluster},
		{"label typed", fmt.Sprint(r.LabelTyped), fmt.Sprint(archive.LabelTyped)},
		{"revision", fmt.Sprint(r.Revision), fmt.Sprint(archive.Revision)},
		{"keys", fmt.Sprint(r.Keys), fmt.Sprint(archive.Keys)},
		{"kinds", fmt.Sprint(r.Kinds), fmt.Sprint(archive.Kinds)},
		{"whole", fmt.Sprint(r.Whole), fmt.Sprint(archive.Whole)},
		{"selection", cmp.Or(r.Selection.Digest, "not told"), cmp.Or(archive.Selection.Digest, "not told")},
		{"selection", strconv.Quote(r.Selection.Text), strconv.Quote(archive.Selection.Text)},
		{"keys outside", outside(r), outside(archive)},
		{"corrupt source", fmt.Sprint(r.CorruptSource), fmt.Sprint(archive.CorruptSource)},
		{"tool version", strconv.Quote(r.ToolVersion), strconv.Quote(archive.ToolVersion)},
	} {
		if c.claim != c.truth {
			return c.what, c.claim, c.truth
		}
	}
	return "", "", ""
}

// Publish writes the receipt beside its archive, which must be published
// already. A receipt that is there is not replaced: fs.ErrExist.
func Publish(ctx context.Context, store remote.Store, r Receipt) error {
	name := ReceiptName(r.Name)
	if err := r.check(); err != nil {
		return fmt.Errorf("write %q: %w: %w", name, ErrReceipt, err)
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	return create(ctx, store, name, append(data, '\n'))
}

// A store with several kinds of places has one where objects can be read at any time.
type placer interface{ AtHand() remote.Store }

// create makes a small object, where listings can read it whatever becomes of the archives.
func create(ctx context.Context, store remote.Store, name string, data []byte) (err error) {
	if p, ok := store.(placer); ok {
		store = p.AtHand()
	}
	upload, err := store.Create(ctx, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, upload.Abort()) }()
	if _, err := upload.Write(data); err != nil {
		return err
	}
	return upload.Commit(remote.DigestOf(data))
}

// Read reads the receipt of an archive. It is an fs.ErrNotExist if there is
// none, also an [ErrReserved] if it is empty, an [ErrReceipt] if it cannot be understood, an [ErrMismatch] if it is
// another archive's.
func Read(ctx context.Context, store remote.Store, archive string) (Receipt, error) {
	name := ReceiptName(archive)
	data, err := readAll(ctx, store, name)
	if err != nil {
		return Receipt{}, err
	}
	if len(data) == 0 {
		return Receipt{}, fmt.Errorf("%s: %w", name, ErrReserved)
	}
	r, err := decode(data)
	if err != nil {
		return Receipt{}, fmt.Errorf("%s: %w", name, err)
	}
	if r.Name != archive {
		return Receipt{}, fmt.Errorf("%s: %w: it names %s", name, ErrMismatch, r.Name)
	}
	return r, nil
}

func readAll(ctx context.Context, store remote.Store, name string) (data []byte, err error) {
	o, err := store.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	if o.Size() > maxReceipt {
		return nil, fmt.Errorf("%s: %w: it has %d bytes, where %d are the most", name, ErrReceipt, o.Size(), maxReceipt)
	}
	data = make([]byte, o.Size())
	if _, err := io.ReadFull(io.NewSectionReader(o, 0, o.Size()), data); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return data, nil
}

// decode looks at the version first: what else a later one means, nobody here
// can know.
func decode(data []byte) (Receipt, error) {
	var version struct {
		Format Format `json:"format"`
	}
	if err := strictjson.Unmarshal(data, &version); err != nil {
		return Receipt{}, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	if f := version.Format; f.Major > formatMajor {
		return Receipt{}, fmt.Errorf("%w: it has format %d.%d, and this kubeferry knows %d: it needs a newer one", ErrReceipt, f.Major, f.Minor, formatMajor)
	}
	var r Receipt
	if err := strictjson.Unmarshal(data, &r); err != nil {
		return Receipt{}, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	r.Created, r.RetainUntil = r.Created.UTC(), r.RetainUntil.UTC()
	if err := r.check(); err != nil {
		return Receipt{}, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	return r, nil
}

// check holds the receipt against its format.
func (r Receipt) check() error {
	switch {
	case r.Format.Major != formatMajor || r.Format.Minor < 0:
		return fmt.Errorf("the format is %d.%d", r.Format.Major, r.Format.Minor)
	case !isHex(r.ArchiveID, 16):
		return errors.New("the archive id is not 16 bytes in hexadecimal")
	case !IsArchive(r.Name):
		return fmt.Errorf("%.200q is not a name of an archive", r.Name)
	case r.Size <= 0:
		return fmt.Errorf("the size is %d", r.Size)
	case !isHex(r.SHA256, sha256.Size):
		return errors.New("the SHA-256 is not 32 bytes in hexadecimal")
	case r.Created.IsZero():
		return errors.New("the time of creation is missing")
	case r.Revision < 0 || r.Keys < 0 || r.Kinds < 0 || r.OutsideKeys != nil && *r.OutsideKeys < 0:
		return errors.New("a count or the revision is negative")
	case r.Identity != "" && (r.Identity == identityUID) != (r.KubeSystemUID != ""):
		return fmt.Errorf("the identity is %.60q, and the UID %.200q", r.Identity, r.KubeSystemUID)
	case r.Selection != Selection{} && !isHex(r.Selection.Digest, sha256.Size):
		return errors.New("the digest of the selection is not 32 bytes in hexadecimal")
	case len(r.Selection.Text) > maxScope || !isPlain(r.Selection.Text) || !isText(r.Identity):
		return errors.New("the text of the selection, or the identity, is too long or not plain text")
	case !isText(r.ClusterID) || !isText(r.KubeSystemUID) || !isText(r.ToolVersion):
		return errors.New("the cluster id, the UID or the tool version is too long or not plain text")
	case ValidLabel(r.Cluster) != nil: // not wrapped: it is no mistake of the user's
		return fmt.Errorf("%.60q is not a label for a cluster", r.Cluster)
	}
	return nil
}

// isHex says whether s is n bytes in lower-case hexadecimal.
func isHex(s string, n int) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == n && s == strings.ToLower(s)
}

// isText says whether s is short and printable ASCII.
func isText(s string) bool { return len(s) <= maxText && isPlain(s) }

func isPlain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}
