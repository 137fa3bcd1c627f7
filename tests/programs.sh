# Sourced by tests/run and tests/bench: programs that must be there.

# need PROGRAM:PACKAGE...   installs what is missing, or says what to install
need() {
    local entry missing=()
    PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
    for entry in "$@"; do
        command -v "${entry%%:*}" >/dev/null || missing+=("${entry#*:}")
    done
    if ((${#missing[@]} == 0)); then
        echo "all there"
        return
    fi
    local become=()
    if ((EUID != 0)); then become=(sudo); fi
    if ! command -v apt-get >/dev/null || ! command -v "${become[0]:-true}" >/dev/null; then
        echo "Please install what Debian calls: ${missing[*]}" >&2
        return 1
    fi
    echo "installing ${missing[*]}"
    # The package must not start a service on this machine: a policy of 101 forbids it while it is installed.
    local policy=/usr/sbin/policy-rc.d ours=
    if ! [[ -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' | "${become[@]}" tee "$policy" >/dev/null
        "${become[@]}" chmod +x "$policy"
        ours=yes
    fi
    local status=0
    "${become[@]}" apt-get update -qq || true
    "${become[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null || status=$?
    if [[ $ours ]]; then "${become[@]}" rm -f "$policy"; fi
    return "$status"
}
