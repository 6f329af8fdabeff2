package object_test

import (
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// fill gives each field of a type a value, but for those that would go on for ever.
func fill(v reflect.Value, depth int) {
	if !v.CanSet() || depth > 12 {
		return
	}
	switch own := v.Addr().Interface().(type) {
	case *metav1.Time:
		*own = metav1.Unix(1_700_000_000, 0)
		return
	case *metav1.MicroTime:
		*own = metav1.MicroTime(metav1.Unix(1_700_000_000, 5_000))
		return
	case *resource.Quantity:
		*own = resource.MustParse("5Gi")
		return
	case *metav1.FieldsV1:
		*own = *metav1.NewFieldsV1(`{"f:a":{}}`)
		return
	case *runtime.RawExtension:
		own.Raw = []byte(`{"a":1}`)
		return
	case *metav1.TypeMeta:
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("a")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth+1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), depth+1)
		fill(v.Index(1), depth+1)
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, depth+1)
		fill(value, depth+1)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), depth+1)
		}
	}
}

// TestNothingOfATypeIsTakenForUnknown: each type that is compiled in, with all its fields,
// is shown in full, and its metadata is what is read without its type.
func TestNothingOfATypeIsTakenForUnknown(t *testing.T) {
	types := 0
	for kind, is := range scheme.Scheme.AllKnownTypes() {
		typed, _ := reflect.New(is).Interface().(interface {
			metav1.Object
			Marshal() ([]byte, error)
		})
		if typed == nil {
			continue // a list, or options
		}
		fill(reflect.ValueOf(typed).Elem(), 0)
		raw, err := typed.Marshal()
		if err != nil {
			t.Fatalf("%v: %v", kind, err)
		}
		apiVersion, name := kind.ToAPIVersionAndKind()
		value := envelope(apiVersion, name, raw)
		o, err := object.Decode(value)
		if err != nil {
			t.Errorf("%v: %v", kind, err)
			continue
		}
		if len(o.NotShown) > 0 {
			t.Errorf("%v: not shown: %q", kind, o.NotShown)
		}
		if _, want, err := object.Read(value); err != nil || !cmp.Equal(o.Meta, want) {
			t.Errorf("%v: %v\n%s", kind, err, cmp.Diff(o.Meta, want))
		}
		types++
	}
	if types < 100 {
		t.Errorf("only %d types", types)
	}
}
