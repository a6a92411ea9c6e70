# shellcheck shell=bash disable=SC2034
# What the scripts of packaging/ share: progress with elapsed time, one-line errors, packages, locks.
# Source it after 'set -euo pipefail'.

ftm_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
ftm_cache=${PHP_FTM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/php-ftm}
: "${FTM_STARTED:=$(date +%s)}"
export FTM_STARTED                                   # nested scripts count from the same moment
ftm_name=${0#"$PWD"/}

say() {
    local s=$(($(date +%s) - FTM_STARTED))
    printf '[%2d:%02d] %s\n' $((s / 60)) $((s % 60)) "$*"
}

die() {
    printf '%s: %s\n' "$ftm_name" "$*" >&2
    exit 1
}

# One line that says why a step failed, from the end of its log.
failure_of() {
    local log=$1 line
    if grep -qE 'No space left on device|not enough free space' "$log"; then
        echo 'the disk is full'
    elif line=$(grep -E 'Temporary failure resolving|Could not resolve|Could not connect|Connection (failed|timed out)' "$log" | tail -1) \
            && [[ $line ]]; then
        echo "the package sources cannot be reached: ${line#*: }"
    else
        line=$(grep -E '^E: |(^|[ :])(fatal )?[Ee]rror:? |undefined reference|\*\*\* ' "$log" | grep -vE '^make' | tail -1) || true
        [[ $line ]] || line=$(grep -v '^[[:space:]]*$' "$log" | tail -1) || true
        echo "${line:0:300}"
    fi
}

# step TITLE LOG COMMAND...: runs COMMAND with its output in LOG and shows that it lives; ends the script if it fails.
step() {
    try_step "$@"
    ((step_status == 0)) || die "$1: failed ($(failure_of "$2")); the whole output is in $2"
}

# As step, but leaves the exit status in step_status. Call it alone on a line: COMMAND may rely on set -e.
try_step() {
    local title=$1 log=$2 ticker begin=$SECONDS
    shift 2
    say "$title"
    (
        trap 'exit 0' TERM
        pause=30
        [[ ! -t 1 ]] || pause=1
        while :; do
            sleep "$pause" &>/dev/null & wait $!       # what reads our output does not wait for its end
            kill -0 $$ 2>/dev/null || exit 0           # interrupted: ^C does not reach a background job
            if [[ -t 1 ]]; then
                printf '\r        … %d s' $((SECONDS - begin))
            else
                say "  … $title, since $((SECONDS - begin)) s"
            fi
        done
    ) &
    ticker=$!
    set +e
    (set -e; "$@") >"$log" 2>&1 </dev/null
    step_status=$?
    kill "$ticker" 2>/dev/null
    wait "$ticker" 2>/dev/null
    set -e
    [[ ! -t 1 ]] || printf '\r\033[K'
}

as_root() {
    if (($(id -u) == 0)); then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "installing packages needs root: run as root, or install sudo"
    fi
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -o DPkg::Lock::Timeout=600 -y --no-install-recommends install "$@"
}

apt_update() {
    as_root apt-get -o DPkg::Lock::Timeout=600 update
}

# missing_of PACKAGE...: those not installed, one per line.
missing_of() {
    local package have
    have=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null) || true
    for package; do
        grep -qxF "$package installed" <<<"$have" || echo "$package"
    done
}

# need_packages WHAT-FOR PACKAGE...: installs what is missing, does nothing (and needs no network) otherwise.
need_packages() {
    local what=$1 package missing unknown=() log reason
    shift
    mapfile -t missing < <(missing_of "$@")
    ((${#missing[@]})) || return 0
    command -v apt-get >/dev/null || die "no apt-get here: install by hand: ${missing[*]}"
    mkdir -p "$ftm_cache/log"
    log=$ftm_cache/log/apt.log
    for package in "${missing[@]}"; do
        apt-cache show "$package" >/dev/null 2>&1 || unknown+=("$package")
    done
    if ((${#unknown[@]})); then
        step "reading the package sources" "$log" apt_update
        for package in "${unknown[@]}"; do
            apt-cache show "$package" >/dev/null 2>&1 && continue
            reason=$(failure_of "$log")                     # apt-get update ends well without its sources, too
            [[ $reason != 'the package sources cannot be reached'* ]] || die "$reason (for $package)"
            die "no package source of this machine offers $package (Debian's main component is needed)"
        done
    fi
    # Lists from last month may name files that are gone: only then read them again.
    say "installing ${#missing[@]} packages $what: ${missing[*]}"
    if ! apt_install "${missing[@]}" >"$log" 2>&1 </dev/null; then
        grep -qE 'No space left|not enough free space' "$log" && die "installing packages $what: the disk is full"
        step "reading the package sources" "$log" apt_update
        step "installing packages again" "$log" apt_install "${missing[@]}"
    fi
}

need_disk() {
    local dir=$1 megabytes=$2 free
    free=$(df -Pm "$dir" | awk 'NR == 2 { print $4 }')
    ((free >= megabytes)) || die "the disk is full: $dir has $free MB free, this needs $megabytes MB"
}

# only_one LOCKFILE ARGUMENTS...: this script runs again under the lock; its children do not inherit it.
only_one() {
    local file=$1 rc=0
    shift
    [[ ${FTM_LOCKED-} == *":$file:"* ]] && return 0
    mkdir -p "$(dirname "$file")" 2>/dev/null || die "cannot create $(dirname "$file")"
    : >>"$file" 2>/dev/null || die "cannot write $file (disk full, or another user's?)"
    export FTM_LOCKED="${FTM_LOCKED-}:$file:"
    flock -n -o -E 75 "$file" "$0" "$@" || rc=$?
    if ((rc == 75)); then
        say "waiting for another run to finish ($file)"
        exec flock -o "$file" "$0" "$@"
    fi
    exit "$rc"
}

# point_at LINK TARGET: LINK appears or changes in one rename.
point_at() {
    mkdir -p "$(dirname "$1")"
    [[ -d $1 && ! -L $1 ]] && die "$1 is a directory, not a link: move it away"
    ln -sfn "$2" "$1.new" && mv -T "$1.new" "$1"
}

# write_file PATH: standard input, complete or not at all.
write_file() {
    cat >"$1.new" && mv "$1.new" "$1"
}
