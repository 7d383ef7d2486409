// Package testdata holds recorded texts of the upstream services, shared by the tests of several packages.
package testdata

import "embed"

// FS holds the recorded texts under the same names as in the repository, for example "dashscope/task-failed.json".
// The README.md of each folder says where each one comes from.
//
//go:embed dashscope/* evolink/*
var FS embed.FS
