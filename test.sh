#!/usr/bin/env bash
# Run all tests of the project, and report at the end what ran.
#
#   ./test.sh              run all daily parts; install missing Debian packages if permitted
#   ./test.sh --quick      run the format check, the lints and the Rust tests
#   ./test.sh --release    run what is checked before a release: the packages, and what needs a long build
#   ./test.sh PART...      run only these parts, and the build if they need it
#   ./test.sh --soak 30m   run three nodes under churn and kills for this time
#   ./test.sh --list       list the parts; with --release, those of a release
#
# A part that fails does not stop the others. The output of each part is in
# target/test-logs. With CI=true, a part that cannot run counts as failed.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# Name, time limit in seconds, requirements, description.
PARTS='
format          60    -                     the source code is formatted (cargo fmt)
clippy          1200  -                     lints, with warnings denied
tests           2700  servers               unit, property, differential, integration and fault tests
doctests        900   -                     the examples in the documentation comments, the READMEs and docs/
slow            900   -                     tests that take minutes in real time
docs            900   -                     the API documentation builds without warnings
api             900   python                the public API names no types of dependencies except those allowed
package         300   python                the crates can be packaged, with complete metadata
deny            900   -                     licences, banned crates and sources (needs cargo-deny)
model           600   -                     the protocols of registry and presence, explored over all orders of events within small bounds
build           1800  -                     programs and examples in the release profile
interop-node    600   build,node,servers    Node: ws, the official Web PubSub clients, event handler and SDK for backends; pusher-js, Laravel Echo, pusher
interop-python  600   build,python,servers  Python: websockets, the official Web PubSub client and SDK for backends, also with async, boto3; pusher, Pysher
interop-java    600   build,node,servers,java  Java: the official Web PubSub SDK for backends; the client and the server library of Pusher Channels
interop-go      600   build,node,servers,go  Go: the server library of Pusher Channels
autobahn        1500  build,python,apt      the Autobahn|Testsuite: sections 1 to 7, 9, 10, 12 and 13
bench           600   build,servers,python  short runs of the measurements in docs/benchmarks.md; fails below half of a goal
overload        300   build,python          a node that is offered twice what it sustains: operators see in, memory is bounded, it recovers
browser         600   build,node,chromium,servers  the demo page, the dashboard, pusher-js and Laravel Echo in headless Chromium
proxies         600   build,node,chromium,servers,proxies  the official client in Chromium behind HAProxy and nginx
prometheus      300   build,python,servers,prometheus  the alerts and the dashboard, asked of a real Prometheus that scrapes two nodes
'
QUICK=(format clippy tests doctests)

# The same for --release.
RELEASE_PARTS='
dist            3600  -                     the program as it is released (profile dist)
smallest        300   dist,python,binutils  memory and start of an idle node, size of the program
deb             1200  dist,python,root,debian  the Debian package: install, run, upgrade, purge; its systemd unit
image           1200  dist,python,root,debian,buildah  the container image: build, contents, a node with its health check
chart           1200  dist,go               the Helm chart: helm, the types of Kubernetes, the configuration of each pod
publish         3600  -                     the crates as they would be published, compiled from their archives
semver          3600  -                     the public API is compatible with that of the last release
rolling         900   dist,node,servers,proxies  a rolling restart of three nodes with 3,000 official clients behind HAProxy
'

# The same for --soak, which sets the time limit.
SOAK_PARTS='
soak            -     build,servers,python  three nodes over Redis under churn and kills: nothing grows, nothing is lost
'

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
export CARGO_TERM_COLOR=never
LOGS=$CARGO_TARGET_DIR/test-logs
VENV=$CARGO_TARGET_DIR/venv
TOOLS=$CARGO_TARGET_DIR/tools
PATH=$PATH:$TOOLS/bin
# In CI, the committed Cargo.lock must be complete.
LOCKED=(); [[ ${CI:-} == true ]] && LOCKED=(--locked)
ALL=(--workspace --all-features "${LOCKED[@]}")

# ---- the parts: each runs in a separate shell with `set -e`

part_format() { cargo fmt --all --check; }
part_clippy() {
    cargo clippy "${ALL[@]}" --all-targets -- -D warnings
    # Combinations that users choose: no features, a cluster alone, and one registry.
    local features
    for features in "" cluster axum,redis; do
        cargo clippy "${LOCKED[@]}" -p tieline --features "$features" -- -D warnings
    done
    # What the author of a registry chooses.
    for features in "" redis etcd; do
        cargo clippy "${LOCKED[@]}" -p tieline-registry --features "$features" -- -D warnings
    done
}
# Most tests wait for servers and deadlines, not for a processor: running two for each of a few halves the time.
part_tests() {
    (($(nproc) > 4)) || export RUST_TEST_THREADS=${RUST_TEST_THREADS:-$(($(nproc) * 2))}
    cargo test "${ALL[@]}" --lib --bins --tests --no-fail-fast
}
# Those that are ignored otherwise.
part_slow() { cargo test "${ALL[@]}" --tests --no-fail-fast -- --ignored; }
part_doctests() { cargo test "${ALL[@]}" --doc --no-fail-fast; }
# Only the libraries: the server's documentation comments are the text of its --help.
# With the flags of docs.rs, so that items show the feature they need.
part_docs() {
    RUSTDOC=$PWD/tests/api/rustdoc RUSTDOCFLAGS="--cfg docsrs -D warnings" \
        cargo doc "${ALL[@]}" --lib --no-deps
}

part_api() {
    python3 -B -m unittest discover -s tests/api
    tests/api/external_types.py
}

# Packages are not built: cargo would compile everything again from the archives.
part_package() {
    rm -f "$CARGO_TARGET_DIR"/package/*.crate
    cargo fetch "${LOCKED[@]}"
    # The models are not published, and what they share is in no index.
    cargo package "${LOCKED[@]}" --workspace --exclude tieline-presence-model --exclude tieline-registry-model \
        --offline --no-verify --allow-dirty
    python3 -B -m unittest discover -s tests/package
}

# Advisories are not checked: their database would have to be downloaded each time.
part_deny() {
    command -v cargo-deny >/dev/null || cargo install --locked --debug cargo-deny --root "$TOOLS"
    cargo deny --all-features check licenses bans sources
}

# The conformance suite plays the traces of the model: its copy must be the current one.
part_model() {
    local model=(cargo run --release "${LOCKED[@]}" -p tieline-registry-model --)
    "${model[@]}"
    "${model[@]}" --traces |
        diff - crates/tieline-registry-conformance/src/interleavings/model_traces.txt
    cargo run --release "${LOCKED[@]}" -p tieline-presence-model
}

# One command for all packages: built separately, they would enable different
# features of the same dependencies, which would then be compiled again.
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

# The SDK is a jar with others beside it, which Maven copies; the program is run as a source file.
part_interop_java() {
    npm ci --prefix tests/interop/node --no-audit --no-fund
    local folder=$CARGO_TARGET_DIR/java
    timeout 300 mvn --quiet --batch-mode --file tests/interop/java/pom.xml -Dmaven.repo.local="$folder/maven" \
        dependency:copy-dependencies -DoutputDirectory="$folder/library"
    TIELINE_JAVA_LIBRARY=$folder/library node --test --test-reporter=spec tests/interop/java/*.test.mjs
}

# The clients are of Node.
part_interop_go() {
    npm ci --prefix tests/interop/node --no-audit --no-fund
    mkdir -p "$CARGO_TARGET_DIR/go"
    go -C tests/interop/go build -o "$CARGO_TARGET_DIR/go/application" .
    TIELINE_GO_PROGRAM=$CARGO_TARGET_DIR/go/application node --test --test-reporter=spec tests/interop/go/*.test.mjs
}

# ---- the parts of a release

part_dist() {
    cargo build --profile dist "${LOCKED[@]}" -p tieline-server --bin tieline
    ls -l "$CARGO_TARGET_DIR/dist/tieline"
}

release_test() { python3 -B -m unittest discover --verbose -s tests/release -p "$1"; }
part_smallest() { release_test test_smallest.py; }
part_image() { release_test test_image.py; }

part_deb() {
    command -v cargo-deb >/dev/null || cargo install --locked --debug cargo-deb --root "$TOOLS"
    rm -rf "$CARGO_TARGET_DIR/debian"
    packaging/deb/build.sh
    release_test test_deb.py
}

# helm is a tool of the Go module, so its version is in go.mod.
part_chart() { (cd tests/release/chart && TIELINE_BIN=$CARGO_TARGET_DIR/dist/tieline go test -count=1 -v .); }

# The archives are compiled with each other, as users will get them. Their manifests have no profile: with that of the
# workspace, what it has compiled is used again.
part_publish() { CARGO_PROFILE_DEV_DEBUG=line-tables-only cargo publish --dry-run "${LOCKED[@]}" --workspace --allow-dirty; }

# TIELINE_BASELINE names another revision to compare with.
part_semver() {
    local baseline
    baseline=${TIELINE_BASELINE:-$(last_release)} || { echo "no tag v* before this commit: nothing to compare with"; return; }
    command -v cargo-semver-checks >/dev/null || cargo install --locked --debug cargo-semver-checks --root "$TOOLS"
    cargo semver-checks --workspace --exclude tieline-server --exclude tieline-bench --all-features --baseline-rev "$baseline"
}
last_release() { git describe --tags --abbrev=0 --match 'v*' HEAD^ 2>/dev/null; }

# ---- the daily parts that need more than Rust

part_autobahn() {
    venv # for its pip, which Debian does not install by default
    PATH=$VENV/bin:$PATH tests/autobahn/run.py
}

part_bench() { tests/bench/figures.py --quick; }

part_overload() {
    python3 -B -m unittest discover -s tests/load
    python3 -B tests/load/overload.py
}

part_soak() { python3 -B tests/load/soak.py "$SOAK"; }

part_browser() {
    npm ci --prefix tests/browser --no-audit --no-fund
    npm ci --prefix tests/interop/node --no-audit --no-fund
    TIELINE_BIN=$CARGO_TARGET_DIR/release/tieline node --test --test-reporter=spec tests/browser/*.test.mjs
}

part_proxies() {
    npm ci --prefix tests/browser --no-audit --no-fund
    TIELINE_BIN=$CARGO_TARGET_DIR/release/tieline node --test --test-reporter=spec tests/browser/proxies/*.test.mjs
}

part_prometheus() {
    TIELINE_BIN=$CARGO_TARGET_DIR/release/tieline \
        python3 -B -m unittest discover --buffer --verbose -s tests/prometheus
}

part_rolling() {
    npm ci --prefix tests/browser --no-audit --no-fund
    TIELINE_ROLLING_CLIENTS=3000 TIELINE_BIN=$CARGO_TARGET_DIR/dist/tieline \
        node --test --test-reporter=spec tests/browser/proxies/rolling.test.mjs
}

# ---- requirements

node_is() { command -v npm >/dev/null && node -e "process.exit(parseInt(process.versions.node) < $1 ? 1 : 0)" 2>/dev/null; }
have_node() { node_is 18; }
have_python() { python3 -c 'import ensurepip, venv' 2>/dev/null; }
have_java() { command -v javac >/dev/null && command -v mvn >/dev/null; }
have_chromium() { command -v "${CHROMIUM:-chromium}" >/dev/null; }
have_servers() { command -v redis-server >/dev/null && command -v redis-sentinel >/dev/null && command -v etcd >/dev/null; }
# The Debian packages put them where only root looks.
have_proxies() { [[ -x /usr/sbin/nginx && -x /usr/sbin/haproxy ]] && command -v openssl >/dev/null; }
have_prometheus() { command -v prometheus >/dev/null && command -v promtool >/dev/null; }
have_root() { ((EUID == 0)); }
have_debian() { command -v mmdebstrap >/dev/null && command -v strace >/dev/null && command -v systemd-analyze >/dev/null; }
have_buildah() { command -v buildah >/dev/null; }
have_binutils() { command -v readelf >/dev/null; }
have_go() { command -v go >/dev/null && (cd tests/release/chart && go list -m >/dev/null 2>&1); }
have_apt() { command -v apt-get >/dev/null && command -v dpkg >/dev/null; }
have_build() { [[ ${RESULT[build]:-} == ok ]]; }
have_dist() { [[ ${RESULT[dist]:-} == ok ]]; }
have_-() { true; }

declare -A WHY=(
    [node]="Node 18 or newer with npm is missing (Debian: nodejs npm)"
    [python]="Python 3 with venv is missing (Debian: python3 python3-venv)"
    [java]="A JDK or Maven is missing (Debian: default-jdk-headless maven)"
    [chromium]="Chromium is missing (Debian: chromium)"
    [servers]="Redis or etcd is missing (Debian: redis-server redis-sentinel etcd-server)"
    [proxies]="nginx, HAProxy or OpenSSL is missing (Debian: nginx haproxy openssl)"
    [prometheus]="Prometheus is missing (Debian: prometheus)"
    [apt]="apt-get is missing, and the test suite comes from Debian packages"
    [build]="the release build failed"
    [dist]="the build of the profile dist failed"
    [root]="it needs root, for the Debian that it makes"
    [debian]="mmdebstrap, strace or systemd-analyze is missing (Debian: mmdebstrap strace systemd)"
    [buildah]="buildah is missing (Debian: buildah)"
    [binutils]="readelf is missing (Debian: binutils)"
    [go]="Go is missing, or older than tests/release/chart/go.mod says"
)

# Install the Debian packages that the selected parts need.
install_missing() {
    local packages=() needs=" $* " as=()
    [[ $needs == *" node "* ]] && ! have_node && packages+=(nodejs npm)
    [[ $needs == *" python "* ]] && ! have_python && packages+=(python3 python3-venv)
    [[ $needs == *" chromium "* ]] && ! have_chromium && packages+=(chromium fonts-dejavu-core)
    [[ $needs == *" java "* ]] && ! have_java && packages+=(default-jdk-headless maven)
    [[ $needs == *" servers "* ]] && ! have_servers && packages+=(redis-server redis-sentinel etcd-server)
    [[ $needs == *" proxies "* ]] && ! have_proxies && packages+=(nginx haproxy openssl)
    [[ $needs == *" prometheus "* ]] && ! have_prometheus && packages+=(prometheus)
    [[ $needs == *" debian "* ]] && ! have_debian && packages+=(mmdebstrap strace systemd)
    [[ $needs == *" buildah "* ]] && ! have_buildah && packages+=(buildah)
    [[ $needs == *" binutils "* ]] && ! have_binutils && packages+=(binutils)
    if ((${#packages[@]} == 0)) || ! have_apt; then return 0; fi
    if ((EUID != 0)); then
        as=(sudo -n)
        sudo -n true 2>/dev/null || { echo "missing packages; install them as root: apt-get install ${packages[*]}"; return 0; }
    fi
    echo "installing ${packages[*]}"
    { "${as[@]}" apt-get -qq update &&
        "${as[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${packages[@]}"
    } >"$LOGS/install.log" 2>&1 </dev/null || tail -n 20 "$LOGS/install.log"
}

# ---- execution

declare -A LIMIT NEEDS ABOUT RESULT TIME
DAILY=() RELEASE=()
while read -r name limit needs about; do
    [[ -n $name ]] || continue
    LIMIT[$name]=$limit NEEDS[$name]=${needs//,/ } ABOUT[$name]=$about
    if [[ $PARTS == *$'\n'"$name "* ]]; then DAILY+=("$name")
    elif [[ $RELEASE_PARTS == *$'\n'"$name "* ]]; then RELEASE+=("$name"); fi
done <<<"$PARTS$RELEASE_PARTS$SOAK_PARTS"

run() {
    local name=$1 need log=$LOGS/$1.log start=$SECONDS status=0
    for need in ${NEEDS[$name]}; do
        "have_$need" && continue
        RESULT[$name]="could not run: ${WHY[$need]}" TIME[$name]=-
        printf '%-15s %s\n' "$name" "${RESULT[$name]}"
        return
    done
    # In the background, because bash runs the trap below only while it waits.
    timeout --kill-after=15 "${LIMIT[$name]}" "$BASH" ./test.sh --inside "$name" >"$log" 2>&1 </dev/null &
    RUNNING=$!
    wait "$RUNNING" || status=$?
    RUNNING=
    TIME[$name]="$((SECONDS - start)) s"
    case $status in
        0) RESULT[$name]=ok ;;
        124 | 137) RESULT[$name]="FAILED: timed out after ${LIMIT[$name]} s" ;;
        *) RESULT[$name]=FAILED ;;
    esac
    printf '%-15s %-8s %s\n' "$name" "${RESULT[$name]}" "${TIME[$name]}"
    ((status == 0)) || explain "$log"
}

# The test that failed is rarely at the end of a long log.
explain() {
    echo "---- failures in $1"
    grep -n -A 8 -E '^(error|FAIL|not ok|---- .* stdout)|^test .* FAILED$|panicked at' "$1" | head -n 120
    echo "---- end of $1"
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
    local chosen=() listed=("${DAILY[@]}") name wanted
    case ${1:-} in
        --inside) set -e; "part_${2//-/_}"; return ;;
        --list)
            [[ ${2:-} != --release ]] || listed=("${RELEASE[@]}")
            for name in "${listed[@]}"; do printf '%-15s %s\n' "$name" "${ABOUT[$name]}"; done
            return ;;
        --quick) wanted=" ${QUICK[*]} " ;;
        --release) wanted=" ${RELEASE[*]} " ;;
        --soak)
            export SOAK=${2:-}
            [[ $SOAK =~ ^([0-9]+)([smh])$ ]] || { echo "--soak needs a time, such as 30m" >&2; exit 2; }
            local -A unit=([s]=1 [m]=60 [h]=3600)
            LIMIT[soak]=$((BASH_REMATCH[1] * unit[${BASH_REMATCH[2]}] + 300)) wanted=" build soak " ;;
        -*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' test.sh; exit 2 ;;
        '')
            wanted=" ${DAILY[*]} "
            # Building cargo-deny takes minutes, so do it only on request.
            command -v cargo-deny >/dev/null || {
                wanted=${wanted/ deny / }
                NOTE="Not run: deny, because cargo-deny is not installed (./test.sh deny builds it in target/tools)."
            } ;;
        *)
            wanted=" $* "
            for name; do
                [[ -n ${LIMIT[$name]:-} && $name != soak ]] || { echo "unknown part: $name; ./test.sh --list [--release] shows all parts" >&2; exit 2; }
                case ${NEEDS[$name]} in build* | dist*) wanted+="${NEEDS[$name]%% *} " ;; esac
            done ;;
    esac
    for name in "${DAILY[@]}" "${RELEASE[@]}" soak; do [[ $wanted == *" $name "* ]] && chosen+=("$name"); done

    mkdir -p "$LOGS"
    trap '[[ -z ${RUNNING:-} ]] || kill "$RUNNING"; exit 130' INT TERM
    install_missing "$(for name in "${chosen[@]}"; do echo "${NEEDS[$name]}"; done | xargs)"
    for name in "${chosen[@]}"; do run "$name"; done
    summary "${chosen[@]}"
}

main "$@"
