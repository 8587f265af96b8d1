//go:build tools

// Names the program, so that its versions are in go.mod.
package peers

import (
	_ "github.com/buildpacks/lifecycle/cmd/launcher"
	_ "github.com/buildpacks/lifecycle/cmd/lifecycle"
)
