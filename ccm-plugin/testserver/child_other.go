//go:build !linux

package testserver

import "syscall"

// ChildAttributes: only Linux can end a child process with its parent.
func ChildAttributes() *syscall.SysProcAttr { return nil }
