package testserver

import "syscall"

// ChildAttributes make a child process end with its parent: a test that is killed leaves nothing behind.
func ChildAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
