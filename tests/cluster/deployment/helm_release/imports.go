// Package helmrelease keeps the types of Flux's HelmRelease among the requirements of this module.
package helmrelease

import _ "github.com/fluxcd/helm-controller/api/v2"
