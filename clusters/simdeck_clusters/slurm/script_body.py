"""The constant part of a server's job script: what is the same whatever was asked for. Bash."""

from __future__ import annotations

BODY = r"""
umask 077
[ -n "$HOME" ] || HOME=~
[ -n "$USER" ] || USER=$(id -un)
[ -n "$PATH" ] || PATH=/usr/local/bin:/usr/bin:/bin
export HOME USER PATH
simdeck_folder=$HOME/.simdeck/servers/$simdeck_name
simdeck_stage=environment simdeck_detail= simdeck_code= simdeck_server= simdeck_signal= simdeck_warned=false
simdeck_cgroup= simdeck_peak= simdeck_sampler=
mkdir -p -m 700 "$simdeck_folder" && rm -f "$simdeck_folder/end.json" "$simdeck_folder/peak"
echo "simdeck: job $SLURM_JOB_ID on $SLURMD_NODENAME, $(date)"

# The control group of the whole job, where the node has one: version 2, then 1.
while IFS=: read -r simdeck_n simdeck_kind simdeck_path; do
    case $simdeck_path in */job_$SLURM_JOB_ID/*) ;; */job_$SLURM_JOB_ID) ;; *) continue ;; esac
    simdeck_path=${simdeck_path%%/job_$SLURM_JOB_ID*}/job_$SLURM_JOB_ID
    for simdeck_try in "/sys/fs/cgroup$simdeck_path" "/sys/fs/cgroup/memory$simdeck_path"; do
        if [ -r "$simdeck_try/memory.peak" ] || [ -r "$simdeck_try/memory.max_usage_in_bytes" ]; then
            simdeck_cgroup=$simdeck_try
        fi
    done
done 2>/dev/null </proc/self/cgroup

simdeck_tree() {
    local simdeck_children simdeck_child
    echo "$1"
    read -r simdeck_children 2>/dev/null <"/proc/$1/task/$1/children" || [ -n "$simdeck_children" ] || return 0
    for simdeck_child in $simdeck_children; do simdeck_tree "$simdeck_child"; done
}

# Without a control group: the memory of the server and all it started, looked at every few seconds.
simdeck_sample() {
    local most=0 sum pid key value rest
    while kill -0 "$1" 2>/dev/null; do
        sum=0
        for pid in $(simdeck_tree "$1"); do
            while read -r key value rest; do
                [ "$key" = VmRSS: ] && sum=$((sum + value)) && break
            done 2>/dev/null <"/proc/$pid/status"
        done
        if [ "$sum" -gt "$most" ]; then most=$sum; echo "$most" >"$simdeck_folder/peak"; fi
        sleep "$2"
    done
}

simdeck_read() { simdeck_value=; [ -r "$1" ] && read -r simdeck_value <"$1"; [ -n "$simdeck_value" ]; }

simdeck_memory() {
    simdeck_kills=0
    if [ -n "$simdeck_cgroup" ]; then
        simdeck_read "$simdeck_cgroup/memory.peak" || simdeck_read "$simdeck_cgroup/memory.max_usage_in_bytes"
        simdeck_peak=$((${simdeck_value:-0} / 1048576))
        while read -r key value; do
            [ "$key" = oom_kill ] && simdeck_kills=$value
        done < <(cat "$simdeck_cgroup/memory.events" "$simdeck_cgroup/memory.oom_control" 2>/dev/null)
    elif simdeck_read "$simdeck_folder/peak"; then
        simdeck_peak=$((simdeck_value / 1024))
    fi
}

# What the server started and did not end. Kernels have sessions of their own, and where Slurm uses no control groups it
# finds a job's processes by their parents alone. Each still has this run's mark in the environment it began with.
simdeck_mark=$SLURM_JOB_ID.$$.$RANDOM$RANDOM

simdeck_left() {
    local file
    for file in $(grep -lsxz "SIMDECK_RUN=$simdeck_mark" /proc/[0-9]*/environ); do
        file=${file#/proc/}
        echo "${file%/environ}"
    done
}

simdeck_sweep() {
    local name try left
    [ -z "$simdeck_sampler" ] || kill "$simdeck_sampler" 2>/dev/null
    for name in TERM KILL; do
        for try in {1..20}; do
            left=$(simdeck_left)
            [ -n "$left" ] || return 0
            [ "$try" -gt 1 ] || kill "-$name" $left 2>/dev/null
            sleep 0.1
        done
    done
}

simdeck_record() {
    # From here on nothing may write another record over this one.
    trap - EXIT
    trap '' USR1 TERM INT
    simdeck_memory
    simdeck_detail=${simdeck_detail//[^A-Za-z0-9 ._\/+:@=-]/}
    printf '{"job":"%s","stage":"%s","code":%d,"detail":"%s","signal":"%s","warned":%s,"peak_memory_mb":%d,' \
        "$SLURM_JOB_ID" "$simdeck_stage" "$1" "$simdeck_detail" "$simdeck_signal" "$simdeck_warned" \
        "${simdeck_peak:-0}" >"$simdeck_folder/end.json.new"
    printf '"memory_limit_mb":%d,"out_of_memory_kills":%d,"restarts":%d,"ended":%d}\n' \
        "${SLURM_MEM_PER_NODE:-0}" "$simdeck_kills" "${SLURM_RESTART_COUNT:-0}" "$(date +%s)" \
        >>"$simdeck_folder/end.json.new"
    mv -f "$simdeck_folder/end.json.new" "$simdeck_folder/end.json"
    simdeck_sweep
    exit "$1"
}

simdeck_fail() { simdeck_detail=$2; echo "simdeck: $simdeck_stage: $2" >&2; simdeck_record "$1"; }

# bwrap stands between us and the server and passes no signals on.
simdeck_pass() {
    local target=$simdeck_server name next
    [ -n "$target" ] || return 0
    while read -r name <"/proc/$target/comm" && [ "$name" = bwrap ] \
        && { read -r next _ <"/proc/$target/task/$target/children" || [ -n "$next" ]; }; do
        target=$next next=
    done 2>/dev/null
    kill "-$1" "$target" 2>/dev/null
}

simdeck_stop() {
    simdeck_signal=$1
    if [ -n "$simdeck_server" ]; then simdeck_pass TERM; else simdeck_record 143; fi
}

trap 'simdeck_record "${simdeck_code:-$?}"' EXIT
trap 'simdeck_warned=true; simdeck_pass USR1' USR1
trap 'simdeck_stop 15' TERM
trap 'simdeck_stop 2' INT

if [ "${#simdeck_modules[@]}" -gt 0 ]; then
    simdeck_stage=modules
    if ! type module >/dev/null 2>&1; then
        for simdeck_try in "$simdeck_module_init" /etc/profile.d/{z00_lmod,lmod,modules}.sh \
            /usr/share/lmod/lmod/init/bash /usr/share/modules/init/bash; do
            if [ -n "$simdeck_try" ] && [ -r "$simdeck_try" ]; then . "$simdeck_try"; break; fi
        done
    fi
    type module >/dev/null 2>&1 || simdeck_fail 72 'the module command'
    for simdeck_try in "${simdeck_modules[@]}"; do
        module load "$simdeck_try" || simdeck_fail 72 "$simdeck_try"
        # Older module commands fail without saying so in their exit status.
        case ":$LOADEDMODULES:" in *":$simdeck_try:"* | *":$simdeck_try/"*) ;; *) simdeck_fail 72 "$simdeck_try" ;; esac
    done
fi
if [ -n "$simdeck_venv" ]; then
    [ -x "$simdeck_venv/bin/python" ] || simdeck_fail 71 "$simdeck_venv"
    VIRTUAL_ENV=$simdeck_venv PATH=$simdeck_venv/bin:$PATH
    export VIRTUAL_ENV PATH
fi
[ -z "$simdeck_image" ] || [ -r "$simdeck_image" ] || simdeck_fail 71 "$simdeck_image"

# What puts the home at its own path inside the image, which nobody may write: a bind given for it, a fresh /home, or a
# folder that is there. A folder that is not there cannot be made.
simdeck_home() {
    local place kind=${simdeck_command[0]}
    if [ "$kind" = bwrap ]; then words+=(--chdir "$HOME"); else words+=(--cd "$HOME"); fi
    # Variables the image was built with; ch-run takes a missing file for an error.
    if [ "$kind" = ch-run ] && [ -r "$simdeck_image/ch/environment" ]; then words+=(--set-env); fi
    for place in "${simdeck_inside[@]}"; do
        case $HOME/ in "${place%/}"/*) return ;; esac
    done
    if [ "$HOME" = "/home/$USER" ]; then
        if [ "$kind" = bwrap ]; then words+=(--tmpfs /home --bind "$HOME" "$HOME"); else words+=(--home); fi
    elif [ -d "$simdeck_image$HOME" ]; then
        if [ "$kind" = bwrap ]; then words+=(--bind "$HOME" "$HOME"); else words+=(-b "$HOME:$HOME"); fi
    else
        simdeck_fail 71 "a folder $HOME in $simdeck_image"
    fi
}

simdeck_etc() {
    local file
    for file in /etc/resolv.conf /etc/hosts /etc/passwd /etc/group; do
        if [ -f "$simdeck_image$file" ] && [ ! -L "$simdeck_image$file" ]; then
            words+=(--ro-bind-try "$file" "$file")
        fi
    done
}

simdeck_run() {
    local word words=() code
    simdeck_stage=environment simdeck_code=
    for word in "${simdeck_command[@]}"; do
        case $word in
            @simdeck-home@) simdeck_home ;;
            @simdeck-etc@) simdeck_etc ;;
            *) words+=("$word") ;;
        esac
    done
    simdeck_stage=command simdeck_code=
    type -P "${words[0]}" >/dev/null || simdeck_fail 127 "${words[0]}"
    simdeck_stage=server
    SIMDECK_SERVER=$simdeck_name SIMDECK_RUN=$simdeck_mark "${words[@]}" &
    simdeck_server=$!
    if [ -z "$simdeck_cgroup" ]; then
        SIMDECK_RUN=$simdeck_mark \
            simdeck_sample "$simdeck_server" "${SIMDECK_SAMPLE_SECONDS:-5}" </dev/null >/dev/null 2>&1 &
        simdeck_sampler=$!
        disown
    fi
    while :; do
        wait "$simdeck_server"
        code=$?
        kill -0 "$simdeck_server" 2>/dev/null || break
    done
    # A signal may have ended the wait, and the server just then: ask once more for the server's own status.
    wait "$simdeck_server" 2>/dev/null
    simdeck_code=$?
    [ "$simdeck_code" -eq 127 ] || code=$simdeck_code
    simdeck_server=
    simdeck_record "$code"
}
"""
