package object_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
	"github.com/kubeferry/kubeferry/scripts/fixtures/database"
)

// TestThePrinterPrintsAsTheLibrariesDo: every object of both fixtures comes out byte by byte
// as the libraries encode, order and indent it.
func TestThePrinterPrintsAsTheLibrariesDo(t *testing.T) {
	var printer object.Printer
	printed := 0
	for _, fixture := range []string{"registry-1.36", "registry-1.36-encrypted"} {
		db, err := database.Read(fixtures + "/" + fixture + ".db.zst")
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range db.Entries {
			o, err := object.Decode(e.Value)
			if err != nil {
				continue
			}
			printed++
			same(t, string(e.Key), o, &printer)
			same(t, string(e.Key)+" without a type", object.OfTree(o.Meta, o.Tree()), &printer)
		}
	}
	if printed < 1500 {
		t.Errorf("only %d objects", printed)
	}
}

func same(t *testing.T, what string, o *object.Object, printer *object.Printer) {
	t.Helper()
	for _, indent := range []string{"", "        "} {
		got, err := printer.AppendJSON(nil, o, "", indent)
		want, failed := o.ToJSON(indent)
		if (err != nil) != (failed != nil) {
			t.Fatalf("%s: %v, want %v", what, err, failed)
		}
		if err == nil && !bytes.Equal(got, want) {
			t.Fatalf("%s (-got +want):\n%s", what, cmp.Diff(string(got), string(want)))
		}
	}
}
