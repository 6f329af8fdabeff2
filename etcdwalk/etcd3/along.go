package etcd3

import (
	"bytes"
	"math"
	"sort"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// letters are what the names of Kubernetes consist of, most of them: other bytes
// lie between two of these, and count as the lower one.
// The first one stands for what comes before them.
const letters = "\x00-./0123456789:ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"

// precision is the number of letters that are looked at.
const precision = 8

// along is about the key at a part of the way from a to b, as if all that begins
// like both had names spread evenly. The part may be more than 1. If b is nil it is
// the end of all keys, and so is the result.
func along(a, b []byte, part float64) []byte {
	n := etcdwalk.Alike(a, b)
	from, to := fraction(a[n:]), 1.0
	if b != nil {
		to = fraction(b[n:])
	}
	x := from + part*max(0, to-from) // less than 0: they differ in what is no letter
	if x >= 1 {
		return etcdwalk.Prefix(string(a[:n])).End
	}
	key := bytes.Clone(a[:n])
	for range precision {
		x *= float64(len(letters))
		key = append(key, letters[int(x)])
		x -= math.Floor(x)
	}
	return key
}

// fraction is a name as a number from 0 to 1: 0, followed by its letters.
func fraction(name []byte) float64 {
	x, digit := 0.0, 1.0
	for _, c := range name[:min(len(name), precision)] {
		digit /= float64(len(letters))
		x += digit * float64(sort.Search(len(letters), func(i int) bool { return letters[i] > c })-1)
	}
	return x
}
