# Sourced by the other scripts: where the tools are kept, their versions, and how they get here. Nothing is installed into
# the repository. A tool that cannot be had is an error: nothing is checked less because a machine has less.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

golangci_version=v2.15.0
inspector_version=2.12.0
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

node_is_new() { [ "$(node -p 'parseInt(process.versions.node)')" -ge "$node_major" ]; }

# inspector puts the MCP Inspector, and a Node that it runs on, into PATH.
inspector() {
  local dir="$tools/inspector-$inspector_version-node-$node_major" wanted=("@modelcontextprotocol/inspector@$inspector_version")
  command -v npm >/dev/null || fail "npm is needed to get the MCP Inspector"
  if ! node_is_new; then wanted+=("node@$node_major"); fi
  if [ ! -e "$dir/complete" ]; then
    rm -rf "$dir"
    mkdir -p "$dir"
    npm install --prefix "$dir" --no-save --no-audit --no-fund --loglevel=error "${wanted[@]}"
    touch "$dir/complete"
  fi
  export PATH="$dir/node_modules/.bin:$PATH"
  node_is_new || fail "the MCP Inspector needs Node $node_major, this is $(node --version)"
}
