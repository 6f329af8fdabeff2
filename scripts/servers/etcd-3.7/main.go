// Command etcd is the etcd 3.7 server that the tests run against. It is built
// by ../build.sh, and has a module of its own so that kubeferry's go.sum knows
// nothing of it.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
