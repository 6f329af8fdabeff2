package archive

import (
	_ "embed"
	"fmt"
)

// The version of the format that this package writes.
const (
	formatMajor = 1
	formatMinor = 2
	kindFull    = "full"
	// packedManifest is the feature of an archive whose manifest is packed. It is what
	// grows with the archive, and is read whole for the sake of a single key.
	packedManifest = "packed-manifest"
)

// Limits of the format. What is beyond them is refused before it is read, and
// is never written. Sizes are in bytes.
const (
	maxSegments = 250_000
	maxSegment  = 256 << 20 // uncompressed
	maxJSON     = 64 << 20  // manifest.json, leases.json
	maxHeader   = 1 << 20
	maxText     = 64 << 10 // README.txt, segment.proto
	maxWindow   = 8 << 20  // zstd
	maxPrefixes = 1024     // that a header names: readers look under each
	maxName     = 4096     // one of them
	maxWord     = 512      // what is told of an identity
	// segmentSize is where a segment is full. Only a segment of a single
	// record can be larger.
	segmentSize = 1 << 20
)

// The files of an archive, in this order. Their names are all there is: a file
// with any other name, or in another place, is damage.
const (
	readmeName   = "README.txt"
	headerName   = "header.json"
	protoName    = "segment.proto"
	leasesName   = "leases.json"
	manifestName = "manifest.json"
	// packedManifestName is what it is called with the feature [packedManifest].
	packedManifestName = "manifest.json.zst"

	filesBefore = 3 // README.txt, header.json, segment.proto
	filesAfter  = 2 // leases.json, manifest.json
	filesFixed  = filesBefore + filesAfter
)

//go:embed entries/README.txt
var readmeText []byte

//go:embed entries/segment.proto
var protoText []byte

// fileName is the name of the file at place i of an archive of n files.
func fileName(i, n int) string {
	switch i {
	case 0:
		return readmeName
	case 1:
		return headerName
	case 2:
		return protoName
	case n - 2:
		return leasesName
	case n - 1:
		return manifestName
	}
	return segmentName(i - filesBefore)
}

// segmentName is the file name of segment i, counted from 0.
func segmentName(i int) string { return fmt.Sprintf("data/%06d.pb", i+1) }

// sizeLimit is how large the file at place i of n may be, uncompressed.
func sizeLimit(i, n int) int64 {
	switch fileName(i, n) {
	case readmeName, protoName:
		return maxText
	case headerName:
		return maxHeader
	case leasesName, manifestName:
		return maxJSON
	}
	return maxSegment
}
