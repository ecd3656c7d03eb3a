#!/usr/bin/env bash
# Makes a release in a folder: the binary, the same byte for byte wherever it is
# built; its SBOM (CycloneDX, with each module's licence); and their checksums.
#
#   deploy/release.sh [OUT]      default: dist
#
# Needs Go alone. The vulnerability scan is part of .ci/test.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-dist}
mkdir -p "$out"

go mod verify
CGO_ENABLED=0 GOFLAGS=-mod=readonly go build -trimpath -ldflags='-s -w -buildid=' -o "$out/idp" ./cmd/idp
GOFLAGS=-mod=mod go run github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0 \
	app -json -licenses -main cmd/idp -output "$out/idp.sbom.json" . 2>"$out/sbom.log" || { cat "$out/sbom.log"; exit 1; }
rm "$out/sbom.log"

(cd "$out" && sha256sum idp idp.sbom.json >SHA256SUMS && cat SHA256SUMS)
