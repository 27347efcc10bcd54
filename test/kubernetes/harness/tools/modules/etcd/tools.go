//go:build tools

// Package tools names the programs of etcd that the harness builds.
package tools

import (
	_ "go.etcd.io/etcd/server/v3"
)
