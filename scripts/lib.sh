# Shared by the scripts beside it: finds what a build and a run need, and installs what is missing.
#
# To be sourced. Works with the bash of macOS, which is version 3.2.
# shellcheck shell=bash

say() { printf '==> %s\n' "$*" >&2; }

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

is_root() { [ "$(id -u)" -eq 0 ]; }

# require <need>...: makes sure of cargo and of the needs, which are compiler, libpq, postgres, pgbouncer,
# openssl, nginx, curl, promtool, faketime, node, npm and chromium.
# Afterwards FEATURES holds the cargo features that this machine calls for, perhaps none, each with a leading comma.
require() {
    local need missing=""
    FEATURES=""
    require_cargo
    use_keg_of_libpq
    for need in "$@"; do
        has "$need" || missing="$missing $need"
    done
    if [ -n "$missing" ]; then
        # Split on purpose: needs are single words.
        # shellcheck disable=SC2086
        install_missing $missing || true
        use_keg_of_libpq
    fi
    for need in $missing; do
        has "$need" || do_without "$need"
    done
}

require_cargo() {
    have cargo || PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
    have cargo || fail "cargo is not installed. Install Rust 1.95 or newer, as described at https://rustup.rs, and run this again."
}

# Homebrew keeps libpq out of the PATH; the build asks pg_config where it is.
use_keg_of_libpq() {
    if have brew && ! have pg_config && [ -d "$(brew --prefix)/opt/libpq/bin" ]; then
        PATH="$PATH:$(brew --prefix)/opt/libpq/bin"
    fi
}

has() {
    case $1 in
        compiler) links "" ;;
        libpq) links "-lpq" ;;
        openssl) links "-lssl -lcrypto" && have pkg-config ;;
        postgres) postgres_programs >/dev/null ;;
        pgbouncer | nginx) have "$1" || [ -x "/usr/sbin/$1" ] ;;
        curl | promtool) have "$1" ;;
        faketime) faketime_library >/dev/null ;;
        node) have node && node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' ;;
        npm) have npm ;;
        chromium) chromium_program >/dev/null ;;
        *) fail "no such need: $1" ;;
    esac
}

# links <libraries>: whether a program linked against these can be built.
links() {
    local directory=""
    have cc || return 1
    have pg_config && directory="-L$(pg_config --libdir)"
    # shellcheck disable=SC2086
    echo 'int main(void) { return 0; }' | cc -x c - -o /dev/null $directory $1 2>/dev/null
}

# Prints the folder with initdb and postgres. The same places in the same order as src/local_postgres/programs.rs.
postgres_programs() {
    local folder IFS=:
    if [ -n "${PG_BIN:-}" ]; then
        [ -x "$PG_BIN/initdb" ] && [ -x "$PG_BIN/postgres" ] && echo "$PG_BIN"
        return
    fi
    for folder in $PATH $(versioned_folders | sort -rV | tr '\n' ':'); do
        if [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ]; then
            echo "$folder"
            return
        fi
    done
    return 1
}

# Prints where libfaketime is. The same places as tests/faults/clock.rs; elsewhere than on Linux nobody asks for it.
faketime_library() {
    local library
    [ "$(uname)" = Linux ] || return 0
    for library in /usr/lib/*/faketime/libfaketimeMT.so.1 /usr/lib64/faketime/libfaketimeMT.so.1 /usr/lib/faketime/libfaketimeMT.so.1; do
        [ -e "$library" ] && echo "$library" && return
    done
    return 1
}

# Prints where Chromium is, or a browser that is one.
chromium_program() {
    local program
    if [ -n "${CHROMIUM:-}" ]; then
        [ -x "$CHROMIUM" ] && echo "$CHROMIUM"
        return
    fi
    for program in chromium chromium-browser google-chrome \
        /Applications/Chromium.app/Contents/MacOS/Chromium "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"; do
        command -v "$program" && return
    done
    return 1
}

versioned_folders() {
    local folder
    for folder in /usr/lib/postgresql/*/bin /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin /usr/pgsql-*/bin; do
        [ -d "$folder" ] && echo "$folder"
    done
}

# install_missing <need>...: says what it installs, then does so. Fails where it cannot or may not.
install_missing() {
    local need manager packages=""
    for manager in apt-get dnf apk brew none; do have "$manager" && break; done
    if [ "$manager" = none ]; then
        say "Missing: $*. Neither apt-get, dnf, apk nor brew is here to install it."
        return 1
    fi
    for need in "$@"; do
        packages="$packages $(package_for "$manager" "$need")"
    done
    say "Missing: $*. To be installed with $manager:$packages"
    may_install "$manager" || return 1
    case $manager in
        # Split on purpose: several packages.
        # shellcheck disable=SC2086
        apt-get) install_on_debian $packages ;;
        dnf) as_root dnf install -y $packages ;;
        apk) as_root apk add $packages ;;
        brew) brew install $packages ;;
    esac
}

package_for() {
    case $1:$2 in
        apt-get:compiler) echo gcc libc6-dev ;;
        apt-get:libpq) echo libpq-dev ;;
        apt-get:openssl) echo libssl-dev pkg-config ;;
        dnf:compiler) echo gcc ;;
        dnf:libpq) echo libpq-devel ;;
        dnf:openssl) echo openssl-devel pkgconf-pkg-config ;;
        dnf:postgres) echo postgresql-server ;;
        apk:compiler) echo gcc musl-dev ;;
        apk:libpq) echo libpq-dev ;;
        apk:openssl) echo openssl-dev pkgconf ;;
        brew:compiler) echo gcc ;;
        brew:libpq) echo libpq ;;
        brew:openssl) echo openssl@3 pkgconf ;;
        brew:node | brew:npm) echo node ;;
        *:node) echo nodejs ;;
        *:npm) echo npm ;;
        *:postgres) echo postgresql ;;
        *:chromium) echo chromium ;;
        *:pgbouncer) echo pgbouncer ;;
        *:nginx) echo nginx ;;
        *:curl) echo curl ;;
        dnf:promtool) echo golang-github-prometheus ;;
        *:promtool) echo prometheus ;;
        *:faketime) echo libfaketime ;;
    esac
}

# Root was asked by being root. Others are asked, where there is somebody to answer.
may_install() {
    local answer
    is_root && return
    if [ "$1" != brew ] && ! have sudo; then
        say "That needs root, and there is no sudo."
        return 1
    fi
    if ! [ -t 0 ]; then
        say "Not installing anything without being asked from a terminal."
        return 1
    fi
    read -r -p "Install now? [y/N] " answer
    case $answer in [yY]*) return 0 ;; *) return 1 ;; esac
}

as_root() { if is_root; then "$@"; else sudo "$@"; fi; }

# Debian's packages make and start system-wide servers, on port 5432 and 6432, which nobody asked for here. Servers that
# are there already are not touched, and later installations behave as ever.
install_on_debian() {
    local folder=/etc/postgresql-common/createcluster.d policy=/usr/sbin/policy-rc.d ours="" status=0
    if ! [ -e "$policy" ]; then
        ours=$policy
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod +x "$policy"
    fi
    as_root mkdir -p "$folder"
    echo "create_main_cluster = off" | as_root tee "$folder/zz-authflow.conf" >/dev/null
    as_root apt-get update -qq &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "$@" || status=$?
    as_root rm "$folder/zz-authflow.conf"
    as_root rmdir --ignore-fail-on-non-empty "$folder" "${folder%/*}"
    [ -z "$ours" ] || as_root rm "$ours"
    return "$status"
}

# do_without <need>: for what is still missing.
do_without() {
    case $1 in
        libpq)
            say "Without libpq's development files its source is built along (feature bundled-libpq)."
            FEATURES="$FEATURES,bundled-libpq"
            ;;
        compiler) fail "no C compiler. Install one (Debian: apt-get install gcc libc6-dev; macOS: xcode-select --install)." ;;
        node) say "Without Node.js 20 or newer the tests of the browser client and those in a browser are left out." ;;
        npm) fail "no npm. Install it (Debian: apt-get install npm; macOS: brew install node)." ;;
        pgbouncer) say "Without PgBouncer the tests behind it are left out." ;;
        nginx) say "Without nginx the tests behind it are left out." ;;
        promtool) say "Without promtool, which comes with Prometheus, the rules for alerts are not checked." ;;
        curl) say "Without curl the test of the workflow behind nginx fails." ;;
        faketime) say "Without libfaketime the test with a clock that is days off is left out." ;;
        postgres) fail "no Postgres programs. Install them (Debian: apt-get install postgresql; macOS: brew install postgresql), or set PG_BIN to the folder with initdb and postgres." ;;
        chromium) fail "no Chromium. Install it (Debian: apt-get install chromium; macOS: brew install chromium), or set CHROMIUM to the program." ;;
        openssl) fail "no OpenSSL headers or no pkg-config. Install them (Debian: apt-get install libssl-dev pkg-config)." ;;
    esac
}

# again <command>...: runs it, and twice more at most if it fails. For what comes over the network.
again() {
    "$@" || { sleep 5; "$@"; } || { sleep 20; "$@"; }
}

# For what needs a browser: finds one, installs what drives it, and builds the program with the features of the other tests,
# so that nothing is built twice.
prepare_browser() {
    require compiler libpq postgres node npm chromium
    has node || fail "no Node.js, or one older than 20."
    CHROMIUM=$(chromium_program)
    PATH="$PATH:$(postgres_programs)"
    AUTHFLOW_PROGRAM=${CARGO_TARGET_DIR:-$PWD/target}/debug/authflow
    export CHROMIUM PATH AUTHFLOW_PROGRAM
    # These bring no browser and have no dependencies: their versions are all that there is to lock.
    if ! npm ls --prefix tests/browser --silent >/dev/null 2>&1; then
        say "npm install, into tests/browser/node_modules"
        again npm install --prefix tests/browser --silent --no-audit --no-fund --no-package-lock
    fi
    say "cargo test --no-run --test program"
    cargo test --quiet --no-run --features "testing$FEATURES" --test program
}
