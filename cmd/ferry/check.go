package ferry

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/catalog"
)

// ErrCheck: what is in a store is not what it should be.
var ErrCheck = errors.New("the check failed")

// A Check tells whether a store has what it should have, without any key.
type Check struct {
	Store    remote.Store
	Label    string        // only archives of this cluster; empty: each cluster
	MaxAge   time.Duration // of the newest good archive; 0: any
	MinCount int           // of good archives
	Verify   bool          // read the newest one, and hold it against its receipt
	Now      func() time.Time
}

// Checked is what was found of one cluster.
type Checked struct {
	Cluster  string        `json:"cluster"`
	Label    string        `json:"label"`
	Good     int           `json:"good"`
	Broken   int           `json:"broken"`
	Newest   string        `json:"newest,omitempty"`
	Age      time.Duration `json:"age_ns,omitempty"`
	Verified bool          `json:"verified"`
	Problems []string      `json:"problems,omitempty"`
}

// Run checks each cluster by its archives of the whole keyspace. A problem of any
// is an [ErrCheck], and so is a store without such an archive.
func (c Check) Run(ctx context.Context) ([]Checked, error) {
	listing, err := catalog.List(ctx, c.Store)
	if err != nil {
		return nil, storing(err, "listing the archives")
	}
	if skew := skewOf(c.Store); skew.Abs() > maxSkew {
		return nil, fmt.Errorf("this machine's clock is %s ahead of the store's, so that no age can be told: %w", skew, ErrCheck)
	}
	all := []Checked{}
	at := map[string]int{}
	for _, item := range listing.Items {
		r := item.Receipt
		switch {
		case item.Err != nil:
			return all, storing(item.Err, "reading the receipts")
		case r.Name == "":
			return all, fmt.Errorf("%s: %s: %w", item.Name, item.Broken, ErrCheck)
		}
		if !r.Whole || c.Label != "" && c.Label != r.Cluster {
			continue
		}
		id := r.Identity() + " " + r.Cluster
		if _, known := at[id]; !known {
			at[id] = len(all)
			all = append(all, Checked{Cluster: r.Identity(), Label: r.Cluster})
		}
		if err := c.count(ctx, &all[at[id]], item); err != nil {
			return all, err
		}
	}
	if len(all) == 0 {
		return all, fmt.Errorf("there is no archive of a whole keyspace: %w", ErrCheck)
	}
	for i := range all {
		c.judge(&all[i])
		if err == nil && len(all[i].Problems) > 0 {
			err = fmt.Errorf("cluster %s: %s: %w", all[i].Label, all[i].Problems[0], ErrCheck)
		}
	}
	return all, err
}

// count takes one archive into account; the newest comes first.
func (c Check) count(ctx context.Context, found *Checked, item catalog.Item) error {
	age := c.Now().Sub(item.Receipt.Created)
	switch {
	case item.Broken != "":
		found.Broken++
		found.Problems = append(found.Problems, item.Name+": "+item.Broken)
		return nil
	case age < -maxSkew:
		found.Problems = append(found.Problems, item.Name+": its time is in the future")
		return nil
	}
	found.Good++
	if found.Newest != "" {
		return nil
	}
	found.Newest, found.Age = item.Name, max(age, 0)
	if !c.Verify {
		return nil
	}
	digest, err := digestOf(ctx, c.Store, item.Name)
	if err != nil {
		return storing(err, "reading "+item.Name)
	}
	if err := item.Receipt.Check(item.Name, digest.Size, digest.SHA256); err != nil {
		found.Problems = append(found.Problems, err.Error())
		return nil
	}
	found.Verified = true
	return nil
}

// judge holds what was counted against what should be there.
func (c Check) judge(found *Checked) {
	if found.Good < max(c.MinCount, 1) {
		found.Problems = append(found.Problems, fmt.Sprintf("%d good archives, where %d should be", found.Good, max(c.MinCount, 1)))
	}
	if c.MaxAge > 0 && found.Newest != "" && found.Age > c.MaxAge {
		found.Problems = append(found.Problems, fmt.Sprintf("the newest archive is %s old, more than %s", found.Age.Round(time.Minute), c.MaxAge))
	}
}

// digestOf reads an object as a whole.
func digestOf(ctx context.Context, store remote.Store, name string) (digest remote.Digest, err error) {
	o, err := store.Open(ctx, name)
	if err != nil {
		return remote.Digest{}, err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	sum := sha256.New()
	n, err := io.Copy(sum, io.NewSectionReader(o, 0, o.Size()))
	if err != nil {
		return remote.Digest{}, err
	}
	digest.Size = n
	sum.Sum(digest.SHA256[:0])
	return digest, nil
}
