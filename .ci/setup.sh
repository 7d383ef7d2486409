# Sourced by the other scripts: where the tools are kept, their versions, and how they get here. Nothing is installed into
# the repository. A tool that cannot be had is an error: nothing is checked less because a machine has less.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

golangci_version=v2.15.0
versitygw_version=v1.8.0
inspector_version=2.12.0
conformance_version=0.2.0-alpha.12
typescript_version=2.4.0
node_major=22

export HOME="${HOME:-/tmp}"
tools="${XDG_CACHE_HOME:-$HOME/.cache}/r2v-mcp-ci"
mkdir -p "$tools"

# A checkout that belongs to somebody else is still the one to be checked.
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0="$root"

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

# with_race_detector runs go build or go test. SQLite is C that a machine has translated to Go, and is left out, as C would be: its reads
# and writes take most of the time, and its atomics order what nothing of ours orders, which hides races. (The locks of its allocator still do,
# and keep the maps of its C library, which the runtime watches in any case, from being reported.) Its driver is not left out.
with_race_detector() {
  CGO_ENABLED=1 go "$1" -race -gcflags='modernc.org/sqlite/lib=-race=false' -gcflags='modernc.org/libc/...=-race=false' \
    -gcflags='modernc.org/memory=-race=false' "${@:2}"
}

# as_root runs a command with the right to install.
as_root() {
  local as=()
  if [ "$(id -u)" -ne 0 ]; then as=(sudo -n); fi
  "${as[@]}" "$@"
}

# packages installs Debian packages unless the program, the first argument, is there.
packages() {
  local program=$1
  shift
  if command -v "$program" >/dev/null; then return; fi
  debian "$@"
  command -v "$program" >/dev/null || fail "$program is not to be had"
}

# debian installs Debian packages, without a question.
debian() {
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# postgresql makes sure of PostgreSQL's server programs, which Debian keeps out of PATH. The tests start a server of their
# own: the one that Debian would set up with the package, and start at every boot, is not wanted.
postgresql() {
  if has_postgresql; then return; fi
  local without_server=/etc/postgresql-common/createcluster.d/r2v-mcp-ci.conf
  as_root mkdir -p "${without_server%/*}"
  echo 'create_main_cluster = false' | as_root tee "$without_server" >/dev/null
  debian postgresql
  as_root rm "$without_server"
  has_postgresql || fail "PostgreSQL is not to be had"
}

has_postgresql() { command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }

# golangci puts the linter's path into $linter. It is built with the Go at hand, which it must not be older than.
golangci() {
  local dir
  dir="$tools/golangci-lint-$golangci_version-$(go env GOVERSION)"
  linter="$dir/golangci-lint"
  if [ ! -x "$linter" ]; then
    GOBIN="$dir" GOFLAGS='' go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$golangci_version"
  fi
}

# s3_server puts the path of an S3 server, for the tests of the bucket, into R2V_TEST_S3_SERVER. Nothing of it runs until they start it.
s3_server() {
  local dir
  dir="$tools/versitygw-$versitygw_version-$(go env GOVERSION)"
  if [ ! -x "$dir/versitygw" ]; then
    GOBIN="$dir" GOFLAGS='' CGO_ENABLED=0 go install -trimpath -ldflags '-s -w' "github.com/versity/versitygw/cmd/versitygw@$versitygw_version"
  fi
  export R2V_TEST_S3_SERVER="$dir/versitygw"
}

node_is_new() { [ "$(node -p 'parseInt(process.versions.node)')" -ge "$node_major" ]; }

# mcp_clients puts clients that are not ours, the protocol's conformance suite, and a Node that they run on into PATH, and their
# folder into $clients.
mcp_clients() {
  local dir="$tools/mcp-inspector-$inspector_version-conformance-$conformance_version-client-$typescript_version-node-$node_major"
  local wanted=("@modelcontextprotocol/inspector@$inspector_version" "@modelcontextprotocol/conformance@$conformance_version" "@modelcontextprotocol/client@$typescript_version")
  command -v npm >/dev/null || fail "npm is needed to get the MCP clients"
  if ! node_is_new; then wanted+=("node@$node_major"); fi
  if [ ! -e "$dir/complete" ]; then
    rm -rf "$dir"
    mkdir -p "$dir"
    npm install --prefix "$dir" --no-save --no-audit --no-fund --loglevel=error "${wanted[@]}"
    touch "$dir/complete"
  fi
  clients=$dir
  export PATH="$dir/node_modules/.bin:$PATH"
  node_is_new || fail "the MCP clients need Node $node_major, this is $(node --version)"
}

# scratch makes a folder that goes, with the processes of background, when the script ends.
scratch() {
  scratch=$(mktemp -d)
  running=()
  trap 'for p in "${running[@]}"; do kill "$p" 2>/dev/null || true; done; wait 2>/dev/null || true; rm -rf "$scratch"' EXIT
}

# background starts a command, its output in $scratch/name, and waits for a line there: background name pattern command...
background() {
  local name=$1 pattern=$2
  shift 2
  "$@" >"$scratch/$name" 2>&1 &
  running+=($!)
  for _ in $(seq 100); do
    if grep -q -- "$pattern" "$scratch/$name"; then return; fi
    kill -0 "${running[-1]}" 2>/dev/null || break
    sleep 0.1
  done
  fail "$name does not run: $(cat "$scratch/$name")"
}

# simulated builds the program as $scratch/r2v-mcp, starts a simulator that makes a minute a second, and exports the settings
# that lead to it.
simulated() {
  go build -o "$scratch/r2v-mcp" .
  export HOME="$scratch"
  background simulator '^DASHSCOPE_HTTP_BASE_URL=' "$scratch/r2v-mcp" simulate --addr 127.0.0.1:0 --speed 60
  DASHSCOPE_HTTP_BASE_URL=$(sed -n 's/^DASHSCOPE_HTTP_BASE_URL=//p' "$scratch/simulator")
  export DASHSCOPE_HTTP_BASE_URL DASHSCOPE_REGION=simulator DASHSCOPE_API_KEY=sk-simulated R2V_POLL_INTERVAL=200ms
}

# chromium makes sure of the browser in which the task page is tested.
chromium() {
  if [ -x /usr/bin/chromium ]; then return; fi
  debian chromium
  [ -x /usr/bin/chromium ] || fail "Chromium is not to be had"
}

# nginx_server makes sure of the balancer before which replicas are tested. The tests start it with a file of their own: the one
# that Debian would start with the package, and at every boot, is not wanted.
nginx_server() {
  if [ -x /usr/sbin/nginx ] || command -v nginx >/dev/null; then return; fi
  local policy=/usr/sbin/policy-rc.d written=
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    written=yes
  fi
  debian nginx
  if [ -n "$written" ]; then as_root rm "$policy"; fi
  if [ -d /run/systemd/system ]; then as_root systemctl disable --now --quiet nginx; fi
  [ -x /usr/sbin/nginx ] || fail "nginx is not to be had"
}
