# shellcheck shell=bash disable=SC2154
# Debian source packages, found through the machine's own package sources but in an apt state of our own: nothing
# of the system's configuration, lists or caches changes. Sourced after lib.sh.

ftm_suite=${PHP_FTM_SUITE:-trixie}
ftm_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# Base address of an archive (debian, debian-security) as this machine's apt has it, whatever file format says so.
mirror_of() {
    local archive=$1
    apt-get indextargets --format '$(REPO_URI) $(COMPONENT)' 'Created-By: Packages' 2>/dev/null |
        awk -v archive="$archive" '$2 == "main" && $1 ~ "/" archive "/?$" { print $1; exit }'
}

private_apt() {
    local command=$1
    shift
    "$command" -c "$ftm_cache/apt/apt.conf" "$@"
}

# source_index SUITE...: the source index of these suites, in our own state.
prepare_apt() {
    local suite mirror archive dir=$ftm_cache/apt
    [[ -f $ftm_keyring ]] || die "$ftm_keyring is missing: install debian-archive-keyring"
    mkdir -p "$dir/parts" "$dir/lists/partial" "$dir/cache/archives/partial"
    rm -f "$dir"/parts/*
    for suite; do
        archive=debian
        [[ $suite == *-security ]] && archive=debian-security
        mirror=$(mirror_of "$archive")
        [[ $archive == debian && ${PHP_FTM_MIRROR-} ]] && mirror=$PHP_FTM_MIRROR
        if [[ ! $mirror ]]; then
            [[ $archive == debian-security ]] && continue
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
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Update::Post-Invoke-Stats;
END
    private_apt apt-get -o APT::Update::Error-Mode=any update
}

download_source() {
    cd "$3" || return
    private_apt apt-get -q source --download-only --only-source "$1=$2"
}

# fetch_source PACKAGE [SUITE]: unpacks the newest version (point release or security update) into the cache, with
# Debian's patches applied; sets source_tree and source_version; both are empty if the suite has no such package.
fetch_source() {
    local package=$1 suite=${2:-$ftm_suite} log=$ftm_cache/log/source-$1.log version work dsc
    local suites=("$suite" "$suite-security") versions
    mkdir -p "$ftm_cache/log" "$ftm_cache/src"
    need_disk "$ftm_cache" 500
    case $suite in sid | unstable) suites=("$suite") ;; esac
    step "reading Debian's source index ($suite)" "$log" prepare_apt "${suites[@]}"
    mapfile -t versions < <(private_apt apt-cache showsrc --only-source "$package" 2>/dev/null |
        sed -n 's/^Version: //p' | sort -rV | uniq)
    source_tree='' source_version=''
    for version in "${versions[@]}"; do
        source_version=${version//\~/.}
        source_tree=$ftm_cache/src/$package-$source_version
        [[ ! -d $source_tree ]] || return 0
        work=$(mktemp -d "$ftm_cache/tmp.XXXXXX")
        try_step "downloading the source package $package $version" "$log" download_source "$package" "$version" "$work"
        if ((step_status)); then
            rm -rf "$work"
            if [[ $version == "${versions[-1]}" ]] || ! grep -q ' 404 ' "$log"; then
                die "downloading $package $version: failed ($(failure_of "$log")); the whole output is in $log"
            fi
            say "  the mirror lists $package $version but does not have it: taking the next older one"
            continue
        fi
        dsc=$(echo "$work"/*.dsc)
        step "unpacking $package" "$log" dpkg-source -x "$dsc" "$work/tree"
        mv -T "$work/tree" "$source_tree"
        rm -rf "$work"
        return 0
    done
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
