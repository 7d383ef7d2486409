//go:build !unix

package local

import "os"

const readOnly = os.O_RDONLY
