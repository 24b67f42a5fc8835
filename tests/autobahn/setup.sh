#!/usr/bin/env bash
# Installs the Autobahn|Testsuite into a folder:
#
#   tests/autobahn/setup.sh DIR      then   DIR/wstest -m fuzzingclient -s spec.json
#
# The suite needs CPython 2.7, which Debian dropped after bullseye. This script
# downloads bullseye's packages from the mirror that this machine uses and unpacks
# them into DIR; the rest comes from PyPI, pinned in requirements.txt. It changes
# nothing outside DIR. A second run does nothing.
set -euo pipefail

SUITE=bullseye
DEBS=(python2.7-minimal libpython2.7-minimal python2.7 libpython2.7-stdlib libssl1.1 libffi7
      libpython2.7 libpython2.7-dev) # the last two only for the C accelerator
BOOTSTRAP=(pip==20.3.4 setuptools==44.0.0 wheel==0.36.2)
ACCELERATOR=wsaccel==0.6.2 # masks and checks UTF-8 in C; needs a C compiler

fail() { echo "autobahn setup: $*" >&2; exit 1; }

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[[ $# -eq 1 ]] || fail "usage: setup.sh DIR"
dir=$(realpath -m "$1")
stamp=$(cat "$here/setup.sh" "$here/requirements.txt" | sha256sum | cut -d' ' -f1)
[[ "$(cat "$dir/stamp" 2>/dev/null)" != "$stamp" ]] || exit 0
command -v apt-get >/dev/null || fail "needs apt-get: the suite is built from Debian packages"

rm -rf "$dir"
mkdir -p "$dir"/{apt/lists/partial,apt/cache/archives/partial,root,boot,site}

python27() {
    mirror=$(grep -rhoE 'https?://[^ ]+/debian/?$' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null |
        grep -v snapshot | head -n 1 || true)
    [[ -n "$mirror" ]] || fail "no Debian mirror in the apt sources of this machine"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $SUITE main" >"$dir/apt/sources.list"
    : >"$dir/apt/status"
    cat >"$dir/apt/apt.conf" <<CONF
Dir::Etc::sourcelist "$dir/apt/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "$dir/apt/lists";
Dir::State::status "$dir/apt/status";
Dir::Cache "$dir/apt/cache";
APT::Sandbox::User "";
CONF
    (
        export APT_CONFIG=$dir/apt/apt.conf
        apt-get -qq update
        cd "$dir/apt/cache/archives" && apt-get -qq download "${DEBS[@]}"
    )
    for deb in "$dir"/apt/cache/archives/*.deb; do dpkg -x "$deb" "$dir/root"; done
    rm -rf "$dir/apt"
}

# The wrappers use relative paths, so that the folder may be moved or cached.
wrappers() {
    cat >"$dir/python" <<'SH'
#!/bin/sh
dir=$(cd "$(dirname "$0")" && pwd)
lib=$(echo "$dir"/root/usr/lib/*-linux-gnu)
exec env LD_LIBRARY_PATH="$lib" PYTHONHOME="$dir/root/usr" PYTHONPATH="${SUITE_PATH:-$dir/site}" \
    PYTHONNOUSERSITE=1 PYTHONWARNINGS=ignore "$dir/root/usr/bin/python2.7" "$@"
SH
    cat >"$dir/wstest" <<'SH'
#!/bin/sh
exec "$(dirname "$0")/python" -m autobahntestsuite.wstest "$@"
SH
    chmod +x "$dir/python" "$dir/wstest"
}

packages() {
    python3 -m pip -q download --no-deps --only-binary :all: --dest "$dir/wheels" \
        --python-version 2.7 --implementation cp --abi cp27mu "${BOOTSTRAP[@]}"
    # Unpacked, because a zipped setuptools cannot find its commands.
    for wheel in "$dir"/wheels/*.whl; do python3 -m zipfile -e "$wheel" "$dir/boot"; done
    rm -rf "$dir/wheels"
    local pip=(env "SUITE_PATH=$dir/boot" "$dir/python" -m pip -q install --no-deps
        --disable-pip-version-check --no-python-version-warning --no-warn-script-location --target "$dir/site")
    "${pip[@]}" -r "$here/requirements.txt"
    touch "$dir/site/zope/__init__.py" # --target does not process the namespace .pth
    local include="-I$dir/root/usr/include/python2.7 -I$dir/root/usr/include"
    CFLAGS="-O2 $include" CPPFLAGS="$include" "${pip[@]}" "$ACCELERATOR" >/dev/null 2>&1 ||
        echo "autobahn setup: $ACCELERATOR was not built; the suite runs slower without it"
    rm -rf "${dir:?}/boot"
}

python27
wrappers
packages
"$dir/wstest" -a >/dev/null || fail "the installed suite does not start"
echo "$stamp" >"$dir/stamp"
