# shellcheck shell=bash disable=SC2154,SC2034
# Debian source packages, found through the machine's own package sources but in an apt state of our own: nothing
# of the system's configuration, lists or caches changes. Sourced after lib.sh.

ftm_suite=${PHP_FTM_SUITE:-trixie}
ftm_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# Base address of an archive (debian, debian-security) as this machine's apt has it, whatever file format says so.
mirror_of() {
    apt-get update --print-uris 2>/dev/null | sed -n "s#^'\([^']*/$1\)/dists/[^/]*/main/.*#\1/#p" |
        awk "NR == 1"
}

private_apt() {
    local command=$1
    shift
    "$command" -c "$ftm_cache/apt/apt.conf" "$@"
}

# prepare_apt SUITE...: an apt configuration that knows the sources of these suites, and nothing else.
prepare_apt() {
    local suite mirror archive dir=$ftm_cache/apt
    [[ -f $ftm_keyring ]] || die "$ftm_keyring is missing: install debian-archive-keyring"
    mkdir -p "$dir/parts" "$dir/lists/partial" "$dir/cache/archives/partial"
    rm -f "$dir"/parts/*
    for suite; do
        archive=debian
        [[ $suite != *-security ]] || archive=debian-security
        mirror=$(mirror_of "$archive")
        [[ $archive != debian ]] || mirror=${PHP_FTM_MIRROR:-$mirror}
        if [[ ! $mirror ]]; then
            [[ $archive == debian ]] || continue
            die "this machine's package sources name no Debian mirror (…/debian, component main); PHP_FTM_MIRROR can"
        fi
        printf 'Types: deb-src\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' \
            "$mirror" "$suite" "$ftm_keyring" >"$dir/parts/$suite.sources"
    done
    # Read after the system's configuration: proxies stay, hooks of other packages do not run.
    cat >"$dir/apt.conf" <<END
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "$dir/parts";
Dir::State::Lists "$dir/lists";
Dir::Cache "$dir/cache";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Acquire::Languages "none";
APT::Sandbox::User "";
APT::Update::Error-Mode "any";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Update::Post-Invoke-Stats;
END
}

# download PACKAGE VERSION DIRECTORY OPTION
download() {
    cd "$3" || return
    private_apt apt-get -q source --download-only --only-source "$4" "$1=$2"
}

# unpack DIRECTORY TREE: as dpkg-source does; an upstream archive alone without Debian's patches.
unpack() {
    local dsc tar
    dsc=$(find "$1" -maxdepth 1 -name '*.dsc')
    if [[ $dsc ]]; then
        dpkg-source -x "$dsc" "$2"
    else
        tar=$(find "$1" -maxdepth 1 -name '*.orig.tar.*' ! -name '*.asc')
        mkdir "$2"
        tar -xf "$tar" -C "$2"
    fi
}

# fetch_source PACKAGE SUITE [upstream]: unpacks the newest version (point release or security update) into the
# cache, with Debian's patches applied; with 'upstream' the original archive alone will do where the mirror lacks
# the rest. Sets source_tree and source_version; both are empty if the suite, or its mirror, has no such package.
fetch_source() {
    local package=$1 suite=$2 least=${3-} log=$ftm_cache/log/source-$1.log version parts work
    local suites=("$suite" "$suite-security") versions
    mkdir -p "$ftm_cache/log" "$ftm_cache/src"
    need_disk "$ftm_cache" 500
    case $suite in sid | unstable) suites=("$suite") ;; esac
    prepare_apt "${suites[@]}"
    step "reading Debian's source index ($suite)" "$log" private_apt apt-get update
    mapfile -t versions < <(source_records "$package" | sed -n 's/^Version: //p' | sort -rV | uniq)
    for version in "${versions[@]}"; do
        source_version=${version//\~/.}
        source_tree=$ftm_cache/src/$package-$source_version
        [[ ! -d $source_tree ]] || return 0
        for parts in --assume-yes ${least:+--tar-only}; do
            work=$(mktemp -d "$ftm_cache/tmp.XXXXXX")
            try_step "downloading the source package $package $version" "$log" download "$package" "$version" "$work" "$parts"
            if ((step_status == 0)); then
                [[ $parts != --tar-only ]] || say "  the mirror has the original archive only: without Debian's patches"
                step "unpacking $package" "$log" unpack "$work" "$work/tree"
                mv -T "$work/tree" "$source_tree"
                rm -rf "$work"
                return 0
            fi
            rm -rf "$work"
            grep -q ' 404 ' "$log" ||
                die "downloading $package $version: failed ($(failure_of "$log")); the whole output is in $log"
        done
        say "  the mirror lists $package $version but does not have it: looking for another version"
    done
    source_tree='' source_version=''
}

source_records() {
    private_apt apt-cache showsrc --only-source "$1" 2>/dev/null || true
}

# Both run in an unpacked php8.4 source tree and let make read debian/rules.d.
ask_rules() {
    make -s --no-print-directory -f - ask "DEB_HOST_ARCH=$(dpkg --print-architecture)" <<<"
include $(echo debian/rules.d/ext-*.mk debian/rules.d/opcache.mk)
$1"
}

# The configure options of all modules.
module_options() {
    ask_rules 'ask: ; @echo $(foreach p,$(ext_PACKAGES),$(foreach e,$($(p)_EXTENSIONS),$($(e)_config)))'
}

# Lines "PACKAGE MODULE PRIORITY KEYWORD", KEYWORD being extension or zend_extension.
module_list() {
    ask_rules 'ask: ; @printf "%s\n" $(foreach p,$(ext_PACKAGES),$(foreach e,$($(p)_EXTENSIONS),"$(p) $(e) $(or $($(e)_PRIORITY),20) $(or $($(e)_EXTENSION),extension)"))'
}
