# Shell functions of the other scripts; they are sourced from the top folder of the tree, with `set -eu`.

say() {
    printf '%s\n' "$*" >&2
}

fail() {
    say "$(basename "$0"): $*"
    exit 1
}

# Runs a command as root.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        fail "needs root, or sudo, for: $*"
    fi
}

# install_packages build|test: what scripts/packages lists and is not installed yet. Asks no network when nothing is missing.
install_packages() {
    wanted=$(sed 's/#.*//' scripts/packages | awk -v purpose="$1" '$2 == "build" || $2 == purpose { print $1 }')
    command -v dpkg-query >/dev/null 2>&1 || fail "this is not Debian: please install the counterparts of: $(echo $wanted)"
    missing=
    for package in $wanted; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    say "installing:$missing"
    as_root apt-get update -qq
    # shellcheck disable=SC2086 # a list
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

# set_up FOLDER MESON-OPTION...: a build folder, unless it is one already with these options. CC is taken from the environment.
set_up() {
    folder=$1
    shift
    wanted="${CC:-cc} $*"
    if [ -f "$folder/build.ninja" ] && [ "$(cat "$folder/set_up_with" 2>/dev/null)" = "$wanted" ]; then
        return 0
    fi
    rm -rf "$folder"
    meson setup "$folder" "$@" && printf '%s\n' "$wanted" >"$folder/set_up_with"
}

# The sanitizers of gcc 12 cannot start where the kernel randomises addresses as widely as newer ones do (vm.mmap_rnd_bits=32).
without_address_randomisation() {
    if setarch "$(uname -m)" -R true 2>/dev/null; then
        setarch "$(uname -m)" -R "$@"
    else
        "$@"
    fi
}

seconds() {
    date +%s
}
