#!/bin/sh
# Installs tcpmon, brings it up to date, or takes it away again. Needs a POSIX shell and what busybox
# has. Run a second time it changes nothing. Lies beside what it installs, in the archive, and is also
# what `make install` runs.
#
# usage: install.sh [--uninstall] [NAME=VALUE ...]
#
#   START=cron|systemd|procd|none  what starts tcpmon (as it was installed, else cron)
#   PREFIX=/usr/local              SBINDIR=PREFIX/sbin  MANDIR=PREFIX/share/man
#   SYSCONFDIR=/etc                LOGDIR=/var/log/tcpmon
#   DESTDIR=                       a root to install below, of which nothing runs; nothing else is touched
#   BINARY= CONFIG=                the program and its configuration where they are not beside this script
#
# An existing configuration stays as it is; a new one that differs is laid beside it as tcpmon.conf.new.
set -eu
umask 022

say() { echo "tcpmon: $*"; }
fail() { echo "tcpmon: $*" >&2; exit 1; }

here=$(dirname "$0")
remove= START= DESTDIR= SBINDIR= MANDIR= SYSCONFDIR=/etc LOGDIR=/var/log/tcpmon BINARY=$here/tcpmon CONFIG=$here/tcpmon.conf
# A router has no /usr/local, and nothing there would be in its PATH.
PREFIX=/usr/local
[ -d /usr/local ] || PREFIX=/usr
for word; do
    case $word in
    --uninstall) remove=yes ;;
    START=* | DESTDIR=* | PREFIX=* | SBINDIR=* | MANDIR=* | SYSCONFDIR=* | LOGDIR=* | BINARY=* | CONFIG=*)
        value=${word#*=}
        eval "${word%%=*}=\$value" ;;
    *) fail "install: \"$word\" is not known, $0 opens with what is" ;;
    esac
done
DESTDIR=${DESTDIR%/}
[ -n "$SBINDIR" ] || SBINDIR=$PREFIX/sbin
[ -n "$MANDIR" ] || MANDIR=$PREFIX/share/man
# These stand in a crontab, where blanks part words and % ends a line.
for place in "$SBINDIR" "$SYSCONFDIR" "$LOGDIR"; do
    case $place in
    [!/]* | *[!A-Za-z0-9/._+-]*) fail "install: \"$place\" cannot be used, write a path from / with letters, digits, . _ + and -" ;;
    esac
done

program=$SBINDIR/tcpmon
config=$SYSCONFDIR/tcpmon.conf
page=$MANDIR/man8/tcpmon.8
unit=$SYSCONFDIR/systemd/system/tcpmon.service
script=$SYSCONFDIR/init.d/tcpmon
cron_d=$SYSCONFDIR/cron.d/tcpmon
command="$program start -c $config"
mark='# tcpmon: from its install.sh'
work=
trap '[ -z "$work" ] || rm -f "$work"' EXIT
trap 'exit 1' HUP INT TERM

# put MODE TARGET COMMAND...: what the command prints, in one step, and only where something differs. A
# program that runs cannot be written to, and nobody ever sees half a file.
put() {
    mode=$1 target=$DESTDIR$2
    shift 2
    if [ -f "$target" ] && [ ! -L "$target" ] && "$@" | cmp -s - "$target"; then
        chmod "$mode" "$target"
        return
    fi
    mkdir -p "${target%/*}"
    work=${target%/*}/.tcpmon.$$
    "$@" >"$work"
    chmod "$mode" "$work"
    mv -f "$work" "$target"
    work=
    say "${target#"$DESTDIR"}: installed"
}

# fitted FILE: its text, with the places it names where they were asked for.
fitted() {
    sed -e "s|/usr/local/sbin/tcpmon|$program|g" -e "s|/etc/tcpmon\\.conf|$config|g" \
        -e "s|/var/log/tcpmon|$LOGDIR|g" "$1"
}

take_away() {
    [ -e "$DESTDIR$1" ] || [ -L "$DESTDIR$1" ] || return 0
    rm -f "$DESTDIR$1"
    say "$1: removed"
}

# The crontab of busybox's crond, if this is such a box: OpenWrt's and Alpine's place, or the usual one.
# It is looked for first: only there does /etc/crontabs exist, while some package may bring a cron.d that
# this crond does not read. Below DESTDIR a link would lead out of it.
crontab() {
    for folder in "$SYSCONFDIR/crontabs" /var/spool/cron/crontabs; do
        if [ -d "$DESTDIR$folder" ] && { [ -z "$DESTDIR" ] || [ ! -L "$DESTDIR$folder" ]; }; then
            echo "$DESTDIR$folder/root"
            return
        fi
        # Cronie and Debian's cron keep users' crontabs there, too, but read cron.d.
        [ ! -d "$DESTDIR$SYSCONFDIR/cron.d" ] || return 0
    done
}

# edit CRONTAB [LINE]: our line at its top, or away. At the top the others stay as they are to the last
# byte, a last line without its end, too. A rename tells crond to read it again: it looks at the time of
# the directory every minute, and passes over names with a dot.
edit() {
    table=$1
    if [ -L "$table" ]; then
        [ -z "$DESTDIR" ] || fail "cron: ${table#"$DESTDIR"} is a link out of $DESTDIR, add or remove the line by hand"
        table=$(readlink -f "$table")
    fi
    work=${table%/*}/.tcpmon.$$
    if [ -f "$table" ]; then
        [ $# -eq 1 ] || ! grep -qxF "$2" "$table" || { work=; return 0; }
        [ $# -gt 1 ] || grep -q "$mark\$" "$table" || { work=; return 0; }
        cp -p "$table" "$work"
    else
        [ $# -gt 1 ] || { work=; return 0; }
        (umask 077 && : >"$work")
    fi
    {
        [ $# -eq 1 ] || echo "$2"
        [ ! -f "$table" ] || sed "/$mark\$/d" "$table"
    } >"$work"
    if [ -s "$work" ]; then mv -f "$work" "$table"; else rm -f "$work" "$table"; fi
    work=
    say "${table#"$DESTDIR"}: $([ $# -gt 1 ] && echo "line added" || echo "line removed")"
    # OpenWrt starts no crond while there is no crontab.
    if [ -z "$DESTDIR" ] && [ $# -gt 1 ] && [ -f /etc/rc.common ] && [ -x /etc/init.d/cron ]; then
        /etc/init.d/cron enable || true
        /etc/init.d/cron restart || true
    fi
}

# Which program cron runs every minute: it does nothing while one runs.
add_cron() {
    table=$(crontab)
    if [ -n "$table" ]; then
        edit "$table" "* * * * * $command $mark"
    # A staging tree that has no /etc is a package in the making, and that brings a file of its own.
    elif [ -d "$DESTDIR$SYSCONFDIR/cron.d" ] || [ -n "$staging" ]; then
        put 644 "$cron_d" printf '%s\n' "# Starts tcpmon if it does not run already." "* * * * * root $command"
    else
        say "cron: none was found here; let something run \"$command\" every minute or at boot"
        return
    fi
    if [ -z "$DESTDIR" ] && type pidof >/dev/null 2>&1 && ! pidof crond cron >/dev/null; then
        say "cron: it does not run; nothing starts tcpmon until it does"
    fi
}

remove_cron() {
    take_away "$cron_d"
    for folder in "$SYSCONFDIR/crontabs" /var/spool/cron/crontabs; do
        if [ -z "$DESTDIR" ] || [ ! -L "$DESTDIR$folder" ]; then edit "$DESTDIR$folder/root"; fi
    done
}

remove_systemd() {
    [ -e "$DESTDIR$unit" ] || return 0
    if [ -z "$DESTDIR" ]; then systemctl disable --now tcpmon || true; fi
    take_away "$unit"
    if [ -z "$DESTDIR" ]; then systemctl daemon-reload || true; fi
}

remove_procd() {
    [ -e "$DESTDIR$script" ] || return 0
    if [ -z "$DESTDIR" ]; then
        "$script" stop || true
        "$script" disable || true
    fi
    take_away "$script"
}

# stop PROGRAM: whether one ran, and ends it with its last report.
stop() {
    [ -x "$1" ] && [ -f "$config" ] || return 1
    said=$("$1" stop -c "$config") || { say "stop: what runs goes on"; return 1; }
    [ "$said" != "not running" ]
}

if [ -n "$remove" ]; then
    # What would start it again goes first.
    remove_cron
    remove_systemd
    remove_procd
    [ -n "$DESTDIR" ] || stop "$program" || true
    take_away "$program"
    take_away "$page"
    take_away "$config.new"
    rmdir "$DESTDIR$LOGDIR" 2>/dev/null || true
    [ ! -f "$DESTDIR$config" ] || say "$config: kept"
    [ ! -d "$DESTDIR$LOGDIR" ] || say "$LOGDIR: kept"
    exit 0
fi

if [ -z "$START" ]; then
    START=cron
    [ ! -e "$DESTDIR$script" ] || START=procd
    [ ! -e "$DESTDIR$unit" ] || START=systemd
fi
case $START in
cron | systemd | procd | none) ;;
*) fail "install: START=$START is not known, use cron, systemd, procd or none" ;;
esac
for file in "$BINARY" "$CONFIG" "$here/tcpmon.8" "$here/tcpmon.service" "$here/tcpmon.procd"; do
    [ -f "$file" ] || fail "install: $file is missing, nothing is installed"
done
[ -n "$DESTDIR" ] || "$BINARY" --version >/dev/null 2>&1 || fail "install: $BINARY does not run on this CPU ($(uname -m)), nothing is installed"
staging=
[ -z "$DESTDIR" ] || [ -d "$DESTDIR$SYSCONFDIR" ] || staging=yes

# The old program knows how to end what it started. The new one takes its place first: cron cannot start
# the old one again in between.
old=
if [ -z "$DESTDIR" ] && [ -f "$program" ] && ! cmp -s "$BINARY" "$program"; then
    old=$SBINDIR/.tcpmon.old
    rm -f "$old"
    ln "$program" "$old" 2>/dev/null || cp -p "$program" "$old"
fi
put 755 "$program" cat "$BINARY"
put 644 "$page" fitted "$here/tcpmon.8"
if [ ! -e "$DESTDIR$config" ] && [ ! -L "$DESTDIR$config" ]; then
    put 644 "$config" fitted "$CONFIG"
elif fitted "$CONFIG" | cmp -s - "$DESTDIR$config"; then
    take_away "$config.new"
else
    put 644 "$config.new" fitted "$CONFIG"
    say "$config: kept"
fi
[ -d "$DESTDIR$LOGDIR" ] || mkdir -p "$DESTDIR$LOGDIR"

if [ -n "$old" ]; then
    ran=
    ! stop "$old" || ran=yes
    rm -f "$old"
    # Where a service starts it, that is below. A start that fails says why.
    case $START$ran in cronyes | noneyes) if $command; then say "$program: started anew"; fi ;; esac
fi
[ "$START" = cron ] || remove_cron
[ "$START" = systemd ] || remove_systemd
[ "$START" = procd ] || remove_procd
case $START in
cron) add_cron ;;
systemd)
    put 644 "$unit" fitted "$here/tcpmon.service"
    if [ -z "$DESTDIR" ]; then
        # One that cron started would keep this one waiting.
        systemctl is-active -q tcpmon || stop "$program" || true
        systemctl daemon-reload
        systemctl enable -q tcpmon
        systemctl start tcpmon
    fi ;;
procd)
    put 755 "$script" fitted "$here/tcpmon.procd"
    if [ -z "$DESTDIR" ]; then
        "$script" running 2>/dev/null || stop "$program" || true
        "$script" enable
        "$script" start
    fi ;;
esac
