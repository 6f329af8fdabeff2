package object_test

import (
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// BenchmarkShow is what -o json costs for each stored byte: decoding and printing.
func BenchmarkShow(b *testing.B) {
	var printer object.Printer
	var out []byte
	all, size := values(b), 0
	for _, v := range all {
		size += len(v.Value)
	}
	b.SetBytes(int64(size))
	for b.Loop() {
		for _, v := range all {
			o, err := object.Decode(v.Value)
			if err != nil {
				continue
			}
			if out, err = printer.AppendJSON(out[:0], o, "", "        "); err != nil {
				b.Fatal(err)
			}
		}
	}
}
