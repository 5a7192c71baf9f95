#!/bin/sh
# Installs, updates or uninstalls tcpmon. Needs a POSIX shell and busybox's commands. A second run
# changes nothing. In the archive it is in the same directory as the files that it installs; `make
# install` runs it, too.
#
# usage: install.sh [--uninstall] [NAME=VALUE ...]
#
#   START=cron|systemd|procd|none  what starts tcpmon (default: as installed before, else cron)
#   PREFIX=/usr/local              SBINDIR=PREFIX/sbin  MANDIR=PREFIX/share/man
#   SYSCONFDIR=/etc                LOGDIR=/var/log/tcpmon
#   DESTDIR=                       install below this root: no program is run, nothing outside is changed
#   BINARY= CONFIG=                the program and its configuration, if in another directory than this script
#
# An existing configuration is kept; a new one that differs is installed as tcpmon.conf.new.
set -eu
umask 022

say() { echo "tcpmon: $*"; }
fail() { echo "tcpmon: $*" >&2; exit 1; }

here=$(dirname "$0")
remove= START= DESTDIR= SBINDIR= MANDIR= SYSCONFDIR=/etc LOGDIR=/var/log/tcpmon BINARY=$here/tcpmon CONFIG=$here/tcpmon.conf
# A router has no /usr/local, and it would not be in its PATH.
PREFIX=/usr/local
[ -d /usr/local ] || PREFIX=/usr
for word; do
    case $word in
    --uninstall) remove=yes ;;
    START=* | DESTDIR=* | PREFIX=* | SBINDIR=* | MANDIR=* | SYSCONFDIR=* | LOGDIR=* | BINARY=* | CONFIG=*)
        value=${word#*=}
        eval "${word%%=*}=\$value" ;;
    *) fail "install: \"$word\" is not a known argument, the first lines of $0 list them" ;;
    esac
done
DESTDIR=${DESTDIR%/}
[ -n "$SBINDIR" ] || SBINDIR=$PREFIX/sbin
[ -n "$MANDIR" ] || MANDIR=$PREFIX/share/man
# These are written to a crontab, where a blank separates words and % ends a line.
for path in "$SBINDIR" "$SYSCONFDIR" "$LOGDIR"; do
    case $path in
    [!/]* | *[!A-Za-z0-9/._+-]*) fail "install: \"$path\" cannot be used, write an absolute path with only letters, digits, . _ + and -" ;;
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

# put MODE TARGET COMMAND...: replaces the target with the command's output, if it differs. By rename, because a
# running program cannot be written to (ETXTBSY), and no reader may see half a file.
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

# fitted FILE: prints it with the paths chosen above.
fitted() {
    sed -e "s|/usr/local/sbin/tcpmon|$program|g" -e "s|/etc/tcpmon\\.conf|$config|g" \
        -e "s|/var/log/tcpmon|$LOGDIR|g" "$1"
}

remove_file() {
    [ -e "$DESTDIR$1" ] || [ -L "$DESTDIR$1" ] || return 0
    rm -f "$DESTDIR$1"
    say "$1: removed"
}

# Prints the crontab of busybox's crond, if this box has one: in OpenWrt's and Alpine's directory, or the usual one.
# /etc/crontabs is looked for first: only such boxes have it, while a package may install a cron.d that this crond
# does not read. Below DESTDIR a symbolic link is not followed, because it leads outside.
crontab() {
    for folder in "$SYSCONFDIR/crontabs" /var/spool/cron/crontabs; do
        if [ -d "$DESTDIR$folder" ] && { [ -z "$DESTDIR" ] || [ ! -L "$DESTDIR$folder" ]; }; then
            echo "$DESTDIR$folder/root"
            return
        fi
        # Cronie and Debian's cron also keep users' crontabs in /var/spool, but read cron.d.
        [ ! -d "$DESTDIR$SYSCONFDIR/cron.d" ] || return 0
    done
}

# edit CRONTAB [LINE]: puts our line at its top, or removes it. The other lines stay the same to the last byte, even
# without a final newline. The rename makes crond read the file again: it checks the directory's mtime every
# minute, and ignores names with a dot.
edit() {
    table=$1
    if [ -L "$table" ]; then
        [ -z "$DESTDIR" ] || fail "cron: ${table#"$DESTDIR"} is a link to outside of $DESTDIR, add or remove the line by hand"
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

# Adds `start`, which cron runs every minute: it does nothing while a monitor runs.
add_cron() {
    table=$(crontab)
    if [ -n "$table" ]; then
        edit "$table" "* * * * * $command $mark"
    # A DESTDIR without /etc is a package that is being built: it gets its own file in cron.d.
    elif [ -d "$DESTDIR$SYSCONFDIR/cron.d" ] || [ -n "$staging" ]; then
        put 644 "$cron_d" printf '%s\n' "# Starts tcpmon if it does not run already." "* * * * * root $command"
    else
        say "cron: not found, let another service run \"$command\" every minute or at boot"
        return
    fi
    if [ -z "$DESTDIR" ] && type pidof >/dev/null 2>&1 && ! pidof crond cron >/dev/null; then
        say "cron: not running, nothing starts tcpmon until it runs"
    fi
}

remove_cron() {
    remove_file "$cron_d"
    for folder in "$SYSCONFDIR/crontabs" /var/spool/cron/crontabs; do
        if [ -z "$DESTDIR" ] || [ ! -L "$DESTDIR$folder" ]; then edit "$DESTDIR$folder/root"; fi
    done
}

remove_systemd() {
    [ -e "$DESTDIR$unit" ] || return 0
    if [ -z "$DESTDIR" ]; then systemctl disable --now tcpmon || true; fi
    remove_file "$unit"
    if [ -z "$DESTDIR" ]; then systemctl daemon-reload || true; fi
}

remove_procd() {
    [ -e "$DESTDIR$script" ] || return 0
    if [ -z "$DESTDIR" ]; then
        "$script" stop || true
        "$script" disable || true
    fi
    remove_file "$script"
}

# stop PROGRAM: stops a running monitor, after its last report. Succeeds if one ran.
stop() {
    [ -x "$1" ] && [ -f "$config" ] || return 1
    said=$("$1" stop -c "$config") || { say "stop: failed, the running monitor continues"; return 1; }
    [ "$said" != "not running" ]
}

if [ -n "$remove" ]; then
    # First what would start tcpmon again.
    remove_cron
    remove_systemd
    remove_procd
    [ -n "$DESTDIR" ] || stop "$program" || true
    remove_file "$program"
    remove_file "$page"
    remove_file "$config.new"
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

# The old program knows how to stop the running monitor. The new program is installed first, so that cron cannot
# start the old one again in between.
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
    remove_file "$config.new"
else
    put 644 "$config.new" fitted "$CONFIG"
    say "$config: kept"
fi
[ -d "$DESTDIR$LOGDIR" ] || mkdir -p "$DESTDIR$LOGDIR"

if [ -n "$old" ]; then
    ran=
    ! stop "$old" || ran=yes
    rm -f "$old"
    # A service is started below. A start that fails says why.
    case $START$ran in cronyes | noneyes) if $command; then say "$program: restarted"; fi ;; esac
fi
[ "$START" = cron ] || remove_cron
[ "$START" = systemd ] || remove_systemd
[ "$START" = procd ] || remove_procd
case $START in
cron) add_cron ;;
systemd)
    put 644 "$unit" fitted "$here/tcpmon.service"
    if [ -z "$DESTDIR" ]; then
        # A monitor that cron started would keep the service waiting.
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
