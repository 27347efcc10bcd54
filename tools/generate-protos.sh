#!/bin/sh
# Writes common/xds/gen from common/proto. The generators are fetched for this run only.
set -eu
cd "$(dirname "$0")/../common/proto"
npm exec --yes --package=@bufbuild/buf@1.75.0 --package=@bufbuild/protoc-gen-es@2.17.0 -- \
  buf generate
