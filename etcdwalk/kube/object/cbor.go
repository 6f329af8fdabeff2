package object

import (
	"errors"

	"github.com/fxamacker/cbor/v2"
)

// cborMode decodes as a kube-apiserver does, which writes texts as byte strings
// (apimachinery: pkg/runtime/serializer/cbor/internal/modes), but passes over what it
// is not asked for.
func cborMode() (cbor.DecMode, error) {
	return cbor.DecOptions{
		MaxNestedLevels:     1000,
		ByteStringToString:  cbor.ByteStringToStringAllowed,
		FieldNameByteString: cbor.FieldNameByteStringAllowed,
		FieldNameMatching:   cbor.FieldNameMatchingCaseSensitive,
	}.DecMode()
}

// readCBOR reads apiVersion, kind and metadata; all else is passed over.
func (m *Meta) readCBOR(value []byte) error {
	mode, err := cborMode()
	if err != nil {
		return err
	}
	var read struct {
		APIVersion string `cbor:"apiVersion"`
		Kind       string `cbor:"kind"`
		Metadata   struct {
			Name       string          `cbor:"name"`
			Namespace  string          `cbor:"namespace"`
			UID        string          `cbor:"uid"`
			Deleted    string          `cbor:"deletionTimestamp"`
			Created    cbor.RawMessage `cbor:"creationTimestamp"`
			Labels     cbor.RawMessage `cbor:"labels"`
			Finalizers cbor.RawMessage `cbor:"finalizers"`
			Owners     cbor.RawMessage `cbor:"ownerReferences"`
		} `cbor:"metadata"`
	}
	if mode.Unmarshal(value, &read) != nil {
		return errors.New("no CBOR of an object") // the library's errors may quote the value
	}
	about := read.Metadata
	*m = Meta{APIVersion: read.APIVersion, Kind: read.Kind, Name: about.Name, Namespace: about.Namespace, UID: about.UID, Deleting: about.Deleted != ""}
	m.Labels = lenientCBOR[map[string]string](mode, about.Labels)
	m.Finalizers = lenientCBOR[[]string](mode, about.Finalizers)
	m.Owners = lenientCBOR[[]Owner](mode, about.Owners)
	m.Created = moment(lenientCBOR[string](mode, about.Created))
	return nil
}

// lenientCBOR reads a value of a type; of another it takes nothing, as in JSON.
func lenientCBOR[T any](mode cbor.DecMode, value []byte) T {
	var read T
	if mode.Unmarshal(value, &read) != nil {
		return *new(T)
	}
	return read
}
