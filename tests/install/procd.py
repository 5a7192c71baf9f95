"""Stands for OpenWrt's rc.common, procd.sh and procd (base-files, procd and their service/instance.c), as far as a script
with USE_PROCD sees them. The state of a service is in /tmp/procd: a file for each parameter of its instance."""

# Called as the interpreter of the script. The script's functions come before those of USE_PROCD, which call them.
RC_COMMON = r"""#!/bin/sh
initscript=$1
action=${2:-help}
shift 2
name=${initscript##*/}
store=/tmp/procd/$name

start_service() { :; }
stop_service() { :; }
service_running() { return 0; }
restart() { trap '' TERM; stop "$@"; start "$@"; }
boot() { start "$@"; }
shutdown() { stop; }
disable() { rm -f /etc/rc.d/S??$name /etc/rc.d/K??$name; }
enable() {
    mkdir -p /etc/rc.d
    ln -sf "../init.d/$name" "/etc/rc.d/S$START$name" && ln -sf "../init.d/$name" "/etc/rc.d/K$STOP$name"
}
enabled() { [ -x "/etc/rc.d/S$START$name" ]; }
help() { echo "Syntax: $initscript [command]"; }

. "$initscript"
[ "$USE_PROCD" = 1 ] || exit 9

# A message to procd is made first. A script that exits before its end has sent nothing.
procd_open_instance() { new=/tmp/procd/new.$$; mkdir -p "$new"; }
procd_set_param() {
    case $1 in
    command | respawn | env | stderr | term_timeout) ;;
    *) echo "procd: the stand-in does not know $1" >&2; exit 9 ;;
    esac
    file=$new/$1
    shift
    printf '%s\n' "$@" >"$file"
}
procd_close_instance() { :; }
procd_running() { [ -s "/tmp/procd/$1/pid" ] && kill -0 "$(cat "/tmp/procd/$1/pid")" 2>/dev/null; }
procd_kill() {
    [ -d "$store" ] || return 0
    mv "$store" "$store.$$.deleted"
    # procd answers at once. A process that has not ended in time is killed.
    (
        pid=$(cat "$store.$$.deleted/pid" 2>/dev/null) || exit
        kill "$pid" 2>/dev/null
        left=$(cat "$store.$$.deleted/term_timeout" 2>/dev/null || echo 5)
        while kill -0 "$pid" 2>/dev/null; do
            [ "$left" -gt 0 ] || { echo killed >>/tmp/procd/log; kill -9 "$pid"; break; }
            left=$((left - 1))
            sleep 1
        done
    ) >/dev/null 2>&1 &
}
start() {
    start_service "$@"
    # An instance with the same parameters goes on as it is.
    for file in "$new"/*; do
        cmp -s "$file" "$store/${file##*/}" || { procd_kill; break; }
    done
    if [ -d "$store" ]; then rm -r "$new"; else mv "$new" "$store"; setsid sh /sbin/procd "$store" >/dev/null 2>&1 </dev/null & fi
}
stop() { stop_service "$@"; procd_kill; }
reload() { if type reload_service >/dev/null 2>&1; then reload_service "$@"; else start; fi; }
running() { service_running "$@"; }
status() { if procd_running "$name"; then echo running; else echo inactive; return 3; fi; }

case $action in
start | stop | reload | restart | boot | shutdown | enable | disable | enabled | running | status) ;;
*) action=help ;;
esac
$action "$@"
"""

# Supervises one instance: starts it, again RESPAWN seconds after each end, at most RETRY times in a row (0: always) if it
# has lived for less than THRESHOLD seconds. Ends with the service.
PROCD = r"""#!/bin/sh
inode=$(stat -c %i "$1")
is_there() { [ "$(stat -c %i "$1" 2>/dev/null)" = "$inode" ]; }
{ read -r threshold; read -r timeout; read -r retry; } <"$1/respawn"
count=0
cd /
while is_there "$1"; do
    began=$(date +%s)
    # Parameters have no blanks here.
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin $(cat "$1/env") $(cat "$1/command") >/dev/null 2>>/tmp/procd/log &
    echo $! >"$1/pid"
    wait $!
    is_there "$1" || exit
    : >"$1/pid"
    if [ $(($(date +%s) - began)) -lt "$threshold" ]; then count=$((count + 1)); else count=0; fi
    if [ "$retry" -gt 0 ] && [ "$count" -gt "$retry" ]; then echo "crash loop" >>/tmp/procd/log; exit; fi
    sleep "$timeout"
done
"""
