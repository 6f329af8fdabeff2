package kube_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// counting is a view that counts.
type counting struct {
	*walktest.View

	blind bool
	err   error
}

func (c counting) Count(ctx context.Context, sel etcdwalk.Selection) (n int64, err error) {
	if c.blind || c.err != nil {
		return -1, c.err
	}
	for _, err := range c.Walk(ctx, sel) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

func keysView(keys ...string) *walktest.View {
	var entries []etcdwalk.Entry
	for _, key := range keys {
		entries = append(entries, etcdwalk.Entry{Key: []byte(key), Value: []byte("v")})
	}
	return walktest.NewView(entries...)
}

func TestOutside(t *testing.T) {
	many := []string{"compact_rev_key"}
	for i := range 40 {
		many = append(many, fmt.Sprintf("/tenant-%02d/x", i))
	}
	for name, c := range map[string]struct {
		keys     []string
		prefixes []string
		want     string
	}{
		"nothing but a cluster":  {[]string{"/registry/a", "compact_rev_key"}, nil, "0:"},
		"other writers":          {[]string{"/calico/a/b", "/calico/c", "/registry/a", "/tenants/a/x", "cilium/state/x", "lone"}, nil, "5: /calico/=2 /tenants/=1 cilium/=1 lone=1"},
		"odd keys":               {[]string{"\x00", "/", "//", "//x", "/\xff/a", "\xff\xff"}, nil, "6: \x00=1 /=1 //=2 /\ufffd/=1 \ufffd=1"},
		"beside a narrow prefix": {[]string{"/registry/configmaps/a", "/registry/secrets/a", "/registry/secrets/b", "/x/y"}, []string{"/registry/configmaps/"}, "3: /registry/=2 /x/=1"},
		"beside everything":      {[]string{"/x/y", "z"}, []string{"/"}, "0:"},
		"very many":              {many, nil, "40: " + strings.Join(firsts(16), " ")},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := newLayout(t, c.prefixes...).Outside(t.Context(), counting{View: keysView(c.keys...)})
			if err != nil || got == nil {
				t.Fatalf("%v, %v", got, err)
			}
			text := fmt.Sprintf("%d:", got.Keys)
			for _, u := range got.Under {
				text += fmt.Sprintf(" %s=%d", u.Segment, u.Keys)
			}
			if text != c.want {
				t.Errorf("got %q, want %q", text, c.want)
			}
		})
	}
}

func firsts(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("/tenant-%02d/=1", i))
	}
	return all
}

// TestOutsideThatIsNotKnown: who may read the prefixes only, and a store that does
// not count, are no error; what fails otherwise is.
func TestOutsideThatIsNotKnown(t *testing.T) {
	for name, c := range map[string]counting{
		"denied": {err: fmt.Errorf("counting: %w", etcdwalk.ErrDenied)},
		"blind":  {blind: true},
	} {
		c.View = keysView("/x/y")
		if got, err := newLayout(t).Outside(t.Context(), c); got != nil || err != nil {
			t.Errorf("%s: got %v, %v, want nothing", name, got, err)
		}
	}
	broken := counting{View: keysView("/x/y"), err: etcdwalk.ErrUnavailable}
	if got, err := newLayout(t).Outside(t.Context(), broken); got != nil || !errors.Is(err, etcdwalk.ErrUnavailable) {
		t.Errorf("got %v, %v, want %v", got, err, etcdwalk.ErrUnavailable)
	}
}
