package ferry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/kubeferry/kubeferry/archive"
	"github.com/kubeferry/kubeferry/crypt"
	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/catalog"
)

// ErrCheck: what is in a store is not what it should be.
var ErrCheck = errors.New("the check failed")

// A Check tells whether a store has what it should have. It needs a key only to
// hold what a receipt claims against the archive.
type Check struct {
	Store    remote.Store
	Query    catalog.Query // only these series
	MaxAge   time.Duration // of the newest good archive; 0: any
	MinCount int           // of good archives
	Verify   bool          // read the newest one, and hold it against its receipt
	Keys     Keys          // with identities, Verify decrypts it too
	Now      func() time.Time
}

// Checked is what was found of one series.
type Checked struct {
	Cluster   string            `json:"cluster"`
	Label     string            `json:"label"`
	Selection catalog.Selection `json:"selection"`
	Good      int               `json:"good"`
	Broken    int               `json:"broken"`
	Newest    string            `json:"newest,omitempty"`
	Age       time.Duration     `json:"-"`
	Seconds   *int64            `json:"age_seconds,omitempty"` // absent: there is none
	Verified  bool              `json:"verified"`
	// Opened: with a key, and its receipt claims nothing that it does not say.
	Opened bool `json:"opened,omitempty"`
	// Unread says why the newest archive was not read; nothing is wrong with it.
	Unread   string   `json:"unread,omitempty"`
	Problems []string `json:"problems,omitempty"`

	err error // of the first problem that has a name of its own
}

// Run checks each cluster by its archives of the whole keyspace, or of what is
// made of it on several days. A problem of any is an [ErrCheck], and so is a store
// without such an archive.
func (c Check) Run(ctx context.Context) ([]Checked, error) {
	listing, err := catalog.List(ctx, c.Store)
	if err != nil {
		return nil, err
	}
	if skew := skewOf(c.Store); skew.Abs() > maxSkew {
		return nil, fmt.Errorf("this machine's clock is %s ahead of the store's, so that no age can be told%.0w", skew, ErrCheck)
	}
	all := []Checked{}
	for _, item := range listing.Items {
		switch {
		case item.Err != nil:
			return all, item.Err
		case item.Receipt.Name == "":
			return all, fmt.Errorf("%s: %s%.0w", item.Name, item.Broken, ErrCheck)
		}
	}
	var doubtful []catalog.Series
	for _, s := range listing.Select(c.Query) {
		if s.Doubt != "" {
			doubtful = append(doubtful, s)
			continue
		}
		found, err := c.look(ctx, s)
		if err != nil {
			return all, err
		}
		all = append(all, found)
	}
	if all, err = c.addDoubtful(ctx, all, doubtful); err != nil {
		return all, err
	}
	if len(all) == 0 {
		return all, fmt.Errorf("%s%.0w", listing.Without(c.Query), ErrCheck)
	}
	for _, found := range all {
		if len(found.Problems) > 0 {
			return all, found.failure()
		}
	}
	for _, found := range all {
		if found.Unread != "" {
			return all, fmt.Errorf("cluster %s: not read: %s%.0w", found.Label, found.Unread, ErrIncomplete)
		}
	}
	return all, nil
}

// addDoubtful looks at archives of which nothing tells the cluster. A single one
// can stand for its cluster; of several the newest could hide that the other
// cluster's have ended.
func (c Check) addDoubtful(ctx context.Context, all []Checked, doubtful []catalog.Series) ([]Checked, error) {
	switch len(doubtful) {
	case 0:
		return all, nil
	case 1:
		found, err := c.look(ctx, doubtful[0])
		return append(all, found), err
	}
	found := Checked{Cluster: "unknown", Label: doubtful[0].Label, Selection: doubtful[0].Selection}
	for _, s := range doubtful {
		if s.Items[0].Broken == "" {
			found.Good++
		} else {
			found.Broken++
		}
	}
	found.Problems = []string{fmt.Sprintf("%d archives may be of several clusters, of each of which %s", len(doubtful), doubtful[0].Doubt)}
	return append(all, found), nil
}

// failure is the first problem, as an error.
func (c Checked) failure() error {
	if c.err != nil {
		return fmt.Errorf("cluster %s: %w: %w", c.Label, ErrCheck, c.err)
	}
	return fmt.Errorf("cluster %s: %s%.0w", c.Label, c.Problems[0], ErrCheck)
}

// look checks one series.
func (c Check) look(ctx context.Context, s catalog.Series) (Checked, error) {
	found := Checked{Cluster: s.Cluster, Label: s.Label, Selection: s.Selection}
	for _, item := range s.Items {
		if err := c.count(ctx, &found, item); err != nil {
			return found, err
		}
	}
	c.judge(&found)
	return found, nil
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
	seconds := int64(max(age, 0).Seconds())
	found.Newest, found.Age, found.Seconds = item.Name, max(age, 0), &seconds
	switch {
	case !c.Verify:
		return nil
	case len(c.Keys.Identities) > 0:
		return c.open(ctx, found, item)
	}
	digest, err := digestOf(ctx, c.Store, item.Name)
	if errors.Is(err, remote.ErrCold) {
		found.Unread = err.Error()
		return nil
	}
	if err != nil {
		return doing(err, "read "+item.Name)
	}
	if err := item.Receipt.Check(item.Name, digest.Size, digest.SHA256); err != nil {
		found.Problems = append(found.Problems, err.Error())
		return nil
	}
	found.Verified = true
	return nil
}

// open reads an archive as a restore would, which holds every claim of its receipt
// against it. What is wrong with the archive or the key is a problem under its own
// name; any other error ends the check.
func (c Check) open(ctx context.Context, found *Checked, item catalog.Item) error {
	a, err := Open(ctx, c.Store, item.Name, c.Keys)
	if err == nil {
		defer a.Close()
		_, err = a.Verify(ctx, nil, nil)
	}
	if err == nil {
		found.Verified, found.Opened = true, true
		return nil
	}
	if errors.Is(err, remote.ErrCold) {
		found.Unread = err.Error()
		return nil
	}
	for _, problem := range []error{
		catalog.ErrMismatch, catalog.ErrReceipt, ErrPolicy, ErrNoKey,
		crypt.ErrNoMatch, crypt.ErrDamaged, archive.ErrDamaged, archive.ErrTooNew,
	} {
		if errors.Is(err, problem) {
			found.err = err
			found.Problems = append(found.Problems, err.Error())
			return nil
		}
	}
	return doing(err, "read "+item.Name)
}

// judge holds what was counted against what should be there.
func (c Check) judge(found *Checked) {
	if found.Good < max(c.MinCount, 1) {
		found.Problems = append(found.Problems, fmt.Sprintf("good archives: %d, expected at least %d", found.Good, max(c.MinCount, 1)))
	}
	if c.MaxAge > 0 && found.Newest != "" && found.Age > c.MaxAge {
		found.Problems = append(found.Problems, fmt.Sprintf("the newest archive is %s old, more than %s", found.Age.Round(time.Second), c.MaxAge))
	}
}

// digestOf reads an object of a store as a whole.
func digestOf(ctx context.Context, store remote.Store, name string) (_ remote.Digest, err error) {
	o, err := store.Open(ctx, name)
	if err != nil {
		return remote.Digest{}, err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	return sum(ctx, o)
}

// sum reads an open object as a whole.
func sum(ctx context.Context, o remote.Object) (remote.Digest, error) {
	sum := remote.NewSummer()
	_, err := io.CopyBuffer(sum, remote.ContextReader(ctx, io.NewSectionReader(o, 0, o.Size())), make([]byte, 1<<20))
	return sum.Digest(), err
}
