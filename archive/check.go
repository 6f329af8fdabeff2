package archive

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// check holds a header of a version that is known against the format.
func (h Header) check() error {
	switch {
	case !isHex(h.ArchiveID, 16):
		return fmt.Errorf("the archive id %.200q is not 16 bytes in hexadecimal", h.ArchiveID)
	case len(h.Sources) != 1:
		return fmt.Errorf("%d sources instead of one", len(h.Sources))
	case h.Created.IsZero():
		return errors.New("the time of creation is missing")
	}
	told := map[string]bool{}
	if n := len(h.Sources[0].Identities) + len(h.Selection.Prefixes); n > maxPrefixes {
		return fmt.Errorf("%d prefixes and identities", n)
	}
	for _, id := range h.Sources[0].Identities {
		if len(id.Prefix) > maxName || len(id.UID)+len(id.Encoding)+len(id.SHA256) > maxWord {
			return fmt.Errorf("the identity under %.200q is too long", id.Prefix)
		}
		if told[id.Prefix] || id.State == "" || (id.State == etcdwalk.IdentityUID) != (id.UID != "") {
			return fmt.Errorf("the identity under %.200q is told twice, or is %.200q and has the UID %.200q", id.Prefix, id.State, id.UID)
		}
		told[id.Prefix] = true
	}
	return nil
}

// supported tells whether this package can read what h announces.
func (h Header) supported() error {
	by := fmt.Sprintf("this one, which knows format %d.%d", formatMajor, formatMinor)
	if h.Format.Major > formatMajor {
		return fmt.Errorf("%w: it has format %d.%d, written by kubeferry %.200q; %s, is too old",
			ErrTooNew, h.Format.Major, h.Format.Minor, h.ToolVersion, by)
	}
	unknown := slices.DeleteFunc(slices.Clone(h.Features), func(name string) bool { return name == packedManifest })
	if len(unknown) > 0 {
		return fmt.Errorf("%w: it needs a reader that knows %.200q, as kubeferry %.200q does; %s, does not",
			ErrTooNew, unknown, h.ToolVersion, by)
	}
	if h.Format.Major == formatMajor && h.Kind != "" && h.Kind != kindFull {
		return fmt.Errorf("%w: it is of the kind %.200q, written by kubeferry %.200q; %s, reads %.200q only",
			ErrTooNew, h.Kind, h.ToolVersion, by, kindFull)
	}
	if h.Format.Major != formatMajor || h.Format.Minor < 0 || h.Kind == "" {
		return damaged("%s: format %d.%d, kind %.200q", headerName, h.Format.Major, h.Format.Minor, h.Kind)
	}
	return nil
}

// isHex tells whether s is n bytes in lower-case hexadecimal.
func isHex(s string, n int) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == n && hex.EncodeToString(b) == s
}

// check holds a manifest against itself. That it fits the files is for the
// reader to see.
func (m Manifest) check() error {
	switch {
	case !isHex(m.HeaderSHA256, 32), !isHex(m.LeasesSHA256, 32):
		return errors.New("a SHA-256 is missing or misspelt")
	case !isHex(m.Nonce, 16):
		return errors.New("the nonce is not 16 bytes in hexadecimal")
	}
	var last []byte
	keys := make(map[string]int64) // per kind
	for i, s := range m.Segments {
		if s.Name != segmentName(i) {
			return fmt.Errorf("segment %.200q stands in the place of %s", s.Name, segmentName(i))
		}
		if err := s.check(last); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		last = s.LastKey
		keys[s.Kind] += s.Keys
	}
	return m.checkTotals(keys)
}

// minRecord is the smallest record there is: two tags, two lengths, one byte
// of a key.
const minRecord = 5

// check holds one segment against the format. before is the last key of the
// segment before it.
func (s Segment) check(before []byte) error {
	order := bytes.Compare(s.FirstKey, s.LastKey)
	switch {
	case s.Source != 0:
		return fmt.Errorf("source %d is not in the header", s.Source)
	case s.Keys < 1 || s.Size < minRecord || s.Size > maxSegment || s.Keys > s.Size/minRecord:
		return fmt.Errorf("%d keys in %d bytes", s.Keys, s.Size)
	case !isHex(s.SHA256, 32):
		return errors.New("its SHA-256 is missing or misspelt")
	case len(s.FirstKey) == 0 || order > 0 || (order == 0) != (s.Keys == 1):
		return fmt.Errorf("%d keys from %.200q to %.200q", s.Keys, s.FirstKey, s.LastKey)
	case bytes.Compare(s.FirstKey, before) <= 0:
		return fmt.Errorf("it begins with key %.200q, after key %.200q", s.FirstKey, before)
	}
	return nil
}

// checkTotals adds up the kinds and holds them against the keys per kind that
// the segments have.
func (m Manifest) checkTotals(segments map[string]int64) error {
	var all Totals
	for i, k := range m.Kinds {
		if i > 0 && compareKinds(m.Kinds[i-1], k) >= 0 {
			return fmt.Errorf("the totals of kind %.200q, namespace %.200q, are out of order", k.Kind, k.Namespace)
		}
		if k.Keys < 1 || k.Keys > m.Totals.Keys-all.Keys || k.Bytes < k.Keys || k.Bytes > m.Totals.Bytes-all.Bytes {
			return fmt.Errorf("the totals of kind %.200q, namespace %.200q, do not fit the whole", k.Kind, k.Namespace)
		}
		all.Keys += k.Keys
		all.Bytes += k.Bytes
		segments[k.Kind] -= k.Keys
	}
	if all != m.Totals {
		return fmt.Errorf("the kinds have %d keys and %d bytes, the whole %d and %d", all.Keys, all.Bytes, m.Totals.Keys, m.Totals.Bytes)
	}
	for kind, left := range segments {
		if left != 0 {
			return fmt.Errorf("the segments of kind %.200q do not have the keys of its totals", kind)
		}
	}
	return cmp.Or(m.checkPrefixes(), m.checkSealed())
}

// checkSealed holds the counts of encrypted values against the totals of the kinds.
func (m Manifest) checkSealed() error {
	left := make(map[string]int64) // per kind
	for _, k := range m.Kinds {
		left[k.Kind] += k.Keys
	}
	for i, s := range m.Sealed {
		if i > 0 && compareSealed(m.Sealed[i-1], s) >= 0 || len(s.Encoding) > maxWord {
			return fmt.Errorf("the encrypted values of kind %.200q with %.200q are out of order", s.Kind, s.Encoding)
		}
		if s.Keys < 1 || s.Keys > left[s.Kind] {
			return fmt.Errorf("the encrypted values of kind %.200q with %.200q do not fit the whole", s.Kind, s.Encoding)
		}
		left[s.Kind] -= s.Keys
	}
	return nil
}

func compareSealed(a, b SealedTotal) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Encoding, b.Encoding))
}

// checkPrefixes holds the totals of the prefixes, if there are any, against those
// of the whole.
func (m Manifest) checkPrefixes() error {
	if len(m.Prefixes) == 0 {
		return nil
	}
	for i, p := range m.Prefixes {
		if i > 0 && m.Prefixes[i-1].Prefix >= p.Prefix {
			return fmt.Errorf("the totals of prefix %.200q are out of order", p.Prefix)
		}
		for j, k := range p.Kinds {
			if j > 0 && compareKinds(p.Kinds[j-1], k) >= 0 || k.Keys < 1 || k.Keys > m.Totals.Keys || k.Bytes < k.Keys || k.Bytes > m.Totals.Bytes {
				return fmt.Errorf("the totals of kind %.200q, namespace %.200q, under prefix %.200q are out of order, or do not fit the whole", k.Kind, k.Namespace, p.Prefix)
			}
		}
	}
	if !slices.Equal(joined(m.Prefixes), m.Kinds) {
		return errors.New("the totals of the prefixes are not those of the whole")
	}
	return nil
}

// check holds the list of leases against the format.
func (l leaseList) check() error {
	if len(l.Leases) > 0 && l.TakenAt.IsZero() {
		return errors.New("leases without the time at which they were taken")
	}
	for i, lease := range l.Leases {
		switch {
		case i > 0 && l.Leases[i-1].ID >= lease.ID:
			return fmt.Errorf("lease %x stands twice, or out of order", lease.ID)
		case lease.ID == 0:
			return errors.New("a lease without an id")
		case lease.State != etcdwalk.LeaseLive && lease.State != etcdwalk.LeaseExpired && lease.State != etcdwalk.LeaseUnknown:
			return fmt.Errorf("lease %x has the state %.200q", lease.ID, lease.State)
		}
	}
	return nil
}

func (l leaseList) find(id int64) (etcdwalk.Lease, bool) {
	i, found := slices.BinarySearchFunc(l.Leases, id, func(lease etcdwalk.Lease, id int64) int { return cmp.Compare(lease.ID, id) })
	if !found {
		return etcdwalk.Lease{ID: id, State: etcdwalk.LeaseUnknown}, false
	}
	return l.Leases[i], true
}
