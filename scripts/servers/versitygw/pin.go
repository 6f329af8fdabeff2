// Package versitygw pins the S3 server that the tests run against. ../build.sh
// builds it; the module is its own so that kubeferry's go.sum knows nothing of
// it.
package versitygw
