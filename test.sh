#!/usr/bin/env bash
# Runs every test of the project, and tells at the end what ran.
#
#   ./test.sh              everything; installs what is missing, where it may
#   ./test.sh --quick      format, lints and the Rust tests
#   ./test.sh PART...      only these parts, with what they need
#   ./test.sh --list       the parts
#
# A part that fails does not stop the others. What each one printed is kept in
# target/test-logs. With CI=true a part that cannot run counts as failed.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# Name, limit in seconds, what has to be there, what it does.
PARTS='
format          60    -                     cargo fmt: nothing to change
clippy          1200  -                     lints, warnings denied
tests           1800  servers               unit, property, differential, integration and fault tests
doctests        900   -                     the examples in the documentation comments
docs            900   -                     the documentation builds without a warning
deny            900   -                     licences, banned crates and sources (needs cargo-deny)
build           1800  -                     the programs and examples, release profile
interop-node    600   build,node,servers    Node clients: ws and the official Web PubSub client
interop-python  600   build,python          Python clients: websockets and the official Web PubSub client
autobahn        1500  build,python,apt      the Autobahn|Testsuite: sections 1 to 7, 9, 10, 12 and 13
bench           600   build,servers,python  short runs of the figures of docs/benchmarks.md; fails below half of a goal
browser         600   build,node,chromium    the demo page in headless Chromium
'
QUICK=(format clippy tests doctests)

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
export CARGO_TERM_COLOR=never
LOGS=$CARGO_TARGET_DIR/test-logs
VENV=$CARGO_TARGET_DIR/venv
TOOLS=$CARGO_TARGET_DIR/tools
PATH=$PATH:$TOOLS/bin
# In CI the committed Cargo.lock has to be complete.
LOCKED=(); [[ ${CI:-} == true ]] && LOCKED=(--locked)
ALL=(--workspace --all-features "${LOCKED[@]}")

# ---- the parts: each runs in a shell of its own, and the first error ends it

part_format() { cargo fmt --all --check; }
part_clippy() {
    cargo clippy "${ALL[@]}" --all-targets -- -D warnings
    # What users choose: nothing, and a cluster alone.
    local features
    for features in "" cluster axum,redis; do
        cargo clippy "${LOCKED[@]}" -p tieline --features "$features" -- -D warnings
    done
    # What the author of a registry chooses.
    for features in "" redis etcd; do
        cargo clippy "${LOCKED[@]}" -p tieline-registry --features "$features" -- -D warnings
    done
}
part_tests() { cargo test "${ALL[@]}" --lib --bins --tests --no-fail-fast; }
part_doctests() { cargo test "${ALL[@]}" --doc --no-fail-fast; }
# The libraries only: the program's comments are the text of its --help.
part_docs() { RUSTDOCFLAGS="-D warnings" cargo doc "${ALL[@]}" --lib --no-deps; }

# Advisories would have to be fetched; these three need no network.
part_deny() {
    command -v cargo-deny >/dev/null || cargo install --locked --debug cargo-deny --root "$TOOLS"
    cargo deny --all-features check licenses bans sources
}

# Everything at once: built one by one, the packages would want other features of
# the same dependencies, and these would be built again.
part_build() { cargo build --release "${ALL[@]}" --bins --examples; }

part_interop_node() {
    npm ci --prefix tests/interop/node --no-audit --no-fund
    node --test --test-reporter=spec tests/interop/node/*.test.mjs
}

venv() {
    [[ -x $VENV/bin/pip ]] || python3 -m venv "$VENV"
    "$VENV/bin/pip" install --quiet --disable-pip-version-check --no-deps -r tests/interop/python/requirements.txt
}

part_interop_python() {
    venv
    "$VENV/bin/python" -B -W ignore -m unittest discover --buffer --verbose -s tests/interop/python
}

part_autobahn() {
    venv # for its pip, which a plain Debian does not have
    PATH=$VENV/bin:$PATH tests/autobahn/run.py
}

part_bench() { tests/bench/figures.py --quick; }

part_browser() {
    npm ci --prefix tests/browser --no-audit --no-fund
    TIELINE_BIN=$CARGO_TARGET_DIR/release/tieline node --test --test-reporter=spec tests/browser/*.test.mjs
}

# ---- what has to be there

node_is() { command -v npm >/dev/null && node -e "process.exit(parseInt(process.versions.node) < $1 ? 1 : 0)" 2>/dev/null; }
have_node() { node_is 18; }
have_python() { python3 -c 'import ensurepip, venv' 2>/dev/null; }
have_chromium() { command -v "${CHROMIUM:-chromium}" >/dev/null; }
have_servers() { command -v redis-server >/dev/null && command -v redis-sentinel >/dev/null && command -v etcd >/dev/null; }
have_apt() { command -v apt-get >/dev/null && command -v dpkg >/dev/null; }
have_build() { [[ ${RESULT[build]:-} == ok ]]; }
have_-() { true; }

declare -A WHY=(
    [node]="Node 18 or newer with npm is missing (Debian: nodejs npm)"
    [python]="Python 3 with venv is missing (Debian: python3 python3-venv)"
    [chromium]="Chromium is missing (Debian: chromium)"
    [servers]="Redis or etcd is missing (Debian: redis-server redis-sentinel etcd-server)"
    [apt]="the suite is unpacked from Debian packages, and there is no apt-get"
    [build]="the release build failed"
)

# Installs the Debian packages that the chosen parts lack.
install_missing() {
    local packages=() needs=" $* " as=()
    [[ $needs == *" node "* ]] && ! have_node && packages+=(nodejs npm)
    [[ $needs == *" python "* ]] && ! have_python && packages+=(python3 python3-venv)
    [[ $needs == *" chromium "* ]] && ! have_chromium && packages+=(chromium fonts-dejavu-core)
    [[ $needs == *" servers "* ]] && ! have_servers && packages+=(redis-server redis-sentinel etcd-server)
    if ((${#packages[@]} == 0)) || ! have_apt; then return 0; fi
    if ((EUID != 0)); then
        as=(sudo -n)
        sudo -n true 2>/dev/null || { echo "missing; as root: apt-get install ${packages[*]}"; return 0; }
    fi
    echo "installing ${packages[*]}"
    { "${as[@]}" apt-get -qq update &&
        "${as[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${packages[@]}"
    } >"$LOGS/install.log" 2>&1 </dev/null || tail -n 20 "$LOGS/install.log"
}

# ---- running them

declare -A LIMIT NEEDS ABOUT RESULT TIME
ORDER=()
while read -r name limit needs about; do
    [[ -n $name ]] || continue
    ORDER+=("$name") LIMIT[$name]=$limit NEEDS[$name]=${needs//,/ } ABOUT[$name]=$about
done <<<"$PARTS"

run() {
    local name=$1 need log=$LOGS/$1.log start=$SECONDS status=0
    for need in ${NEEDS[$name]}; do
        "have_$need" && continue
        RESULT[$name]="could not run: ${WHY[$need]}" TIME[$name]=-
        printf '%-15s %s\n' "$name" "${RESULT[$name]}"
        return
    done
    # In the background, so that an interrupt reaches it through the trap below.
    timeout --kill-after=15 "${LIMIT[$name]}" "$BASH" ./test.sh --inside "$name" >"$log" 2>&1 </dev/null &
    RUNNING=$!
    wait "$RUNNING" || status=$?
    RUNNING=
    TIME[$name]="$((SECONDS - start)) s"
    case $status in
        0) RESULT[$name]=ok ;;
        124 | 137) RESULT[$name]="FAILED: not done after ${LIMIT[$name]} s" ;;
        *) RESULT[$name]=FAILED ;;
    esac
    printf '%-15s %-8s %s\n' "$name" "${RESULT[$name]}" "${TIME[$name]}"
    ((status == 0)) || explain "$log"
}

# Of many tests the one that failed stands seldom at the end.
explain() {
    echo "---- what failed in $1"
    grep -n -A 8 -E '^(error|FAIL|not ok|---- .* stdout)|^test .* FAILED$|panicked at' "$1" | head -n 120
    echo "---- its end"
    tail -n 60 "$1"
    echo "----"
}

summary() {
    local name passed=0 failed=0 skipped=0
    printf '\n%-15s %8s  %s\n' part time result
    for name in "$@"; do
        printf '%-15s %8s  %s\n' "$name" "${TIME[$name]}" "${RESULT[$name]}"
        case ${RESULT[$name]} in
            ok) passed=$((passed + 1)) ;;
            could*) if [[ ${CI:-} == true ]]; then failed=$((failed + 1)); else skipped=$((skipped + 1)); fi ;;
            *) failed=$((failed + 1)) ;;
        esac
    done
    [[ -z ${NOTE:-} ]] || printf '\n%s\n' "$NOTE"
    printf '\n%d passed, %d failed' "$passed" "$failed"
    ((skipped == 0)) || printf ', %d skipped' "$skipped"
    echo
    ((failed == 0))
}

main() {
    local chosen=() name wanted
    case ${1:-} in
        --inside) set -e; "part_${2//-/_}"; return ;;
        --list) for name in "${ORDER[@]}"; do printf '%-15s %s\n' "$name" "${ABOUT[$name]}"; done; return ;;
        --quick) wanted=" ${QUICK[*]} " ;;
        -*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' test.sh; exit 2 ;;
        '')
            wanted=" ${ORDER[*]} "
            # Building it takes minutes, so it is used where it is, or when asked for.
            command -v cargo-deny >/dev/null || {
                wanted=${wanted/ deny / }
                NOTE="Not run: deny, as cargo-deny is not installed (./test.sh deny builds it in target/tools)."
            } ;;
        *)
            wanted=" $* "
            for name; do
                [[ -n ${LIMIT[$name]:-} ]] || { echo "no part is called $name; ./test.sh --list tells them" >&2; exit 2; }
                [[ ${NEEDS[$name]} != build* ]] || wanted+="build "
            done ;;
    esac
    for name in "${ORDER[@]}"; do [[ $wanted == *" $name "* ]] && chosen+=("$name"); done

    mkdir -p "$LOGS"
    trap '[[ -z ${RUNNING:-} ]] || kill "$RUNNING"; exit 130' INT TERM
    install_missing "$(for name in "${chosen[@]}"; do echo "${NEEDS[$name]}"; done | xargs)"
    for name in "${chosen[@]}"; do run "$name"; done
    summary "${chosen[@]}"
}

main "$@"
