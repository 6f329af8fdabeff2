// Command kubeferry carries Kubernetes state out of etcd and back.
package main

import (
	"os"

	"github.com/kubeferry/kubeferry/cmd"
)

func main() { os.Exit(cmd.Main()) }
