#!/bin/sh
# Installs, updates or uninstalls tcpmon. Needs a POSIX shell and busybox's commands. A second run
# changes nothing. In the archive it is in the same directory as the files that it installs; `make
# install` runs it, too. As root: sh install.sh; then write your targets in /etc/tcpmon.conf. README.md tells the rest.
#
# usage: install.sh [--uninstall] [NAME=VALUE ...]
#
#   START=cron|systemd|procd|none  what starts tcpmon (default: as installed before, else cron)
#   PREFIX=/usr/local              SBINDIR=PREFIX/sbin  MANDIR=PREFIX/share/man
#   SYSCONFDIR=/etc                LOGDIR=/var/log/tcpmon
#   DESTDIR=                       install below this root: no program is run, nothing outside is changed
#   BINARY= CONFIG=                the program and its configuration, if in another directory than this script
#
# An existing configuration is kept; a new one that differs is installed as tcpmon.conf.new. What the operator has disabled
# or stopped stays so: a service, cron's line in a comment, a line that is gone (START=cron adds it again).
#
# -C: no redirection writes to a file that exists.
set -euC
umask 022

say() { echo "tcpmon: $*"; }
fail() { echo "tcpmon: $*" >&2; exit 1; }

here=$(dirname "$0")
outer=${DESTDIR-} outer_start=${START-}
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
    -h | --help)
        sed -n '2,/^# -C/s/^# \{0,1\}//p' "$0" | sed '$d'
        exit 0 ;;
    *) fail "install: \"$word\" is not a known argument, the first lines of $0 list them" ;;
    esac
done
# Of the environment they would be ignored, and this box would be changed.
case " $* " in *' DESTDIR='*) ;; *) [ -z "$outer" ] || fail "install: DESTDIR is in the environment, write it as an argument: install.sh DESTDIR=$outer" ;; esac
case " $* " in *' START='*) ;; *) [ -z "$outer_start" ] || fail "install: START is in the environment, write it as an argument: install.sh START=$outer_start" ;; esac
DESTDIR=${DESTDIR%/}
[ -n "$SBINDIR" ] || SBINDIR=$PREFIX/sbin
[ -n "$MANDIR" ] || MANDIR=$PREFIX/share/man
# These are written to a crontab, where a blank separates words and % ends a line.
for path in "$SBINDIR" "$SYSCONFDIR" "$LOGDIR"; do
    case $path in
    [!/]* | *[!A-Za-z0-9/._+-]*) fail "install: \"$path\" cannot be used, write an absolute path with only letters, digits, . _ + and -" ;;
    esac
done

# dpkg would not know of these files, and two installations would start a monitor.
[ -n "$DESTDIR" ] || case $(dpkg-query -W -f '${db:Status-Status}' tcpmon 2>/dev/null) in
'' | not-installed | config-files) ;;
*) fail "install: the Debian package tcpmon is installed here, nothing is changed: update that with apt, or run first: apt remove tcpmon" ;;
esac

program=$SBINDIR/tcpmon
config=$SYSCONFDIR/tcpmon.conf
pages='man8/tcpmon.8 man5/tcpmon.conf.5'
unit=$SYSCONFDIR/systemd/system/tcpmon.service
script=$SYSCONFDIR/init.d/tcpmon
cron_d=$SYSCONFDIR/cron.d/tcpmon
command="$program start --unless-stopped -c $config"
mark='# tcpmon: from its install.sh'
work= old=
trap 'rm -rf ${work:+"$work"} ${old:+"${old%/*}"}' EXIT
trap 'exit 1' HUP INT TERM

# private FOLDER: makes it, for root alone. Another user may have put a link or a file there: that is removed, and what
# comes there after that makes mkdir fail. In it nobody can swap a name before it is opened, or moved away.
private() {
    rm -rf "$1"
    mkdir -m 700 "$1"
}

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
    private "$work"
    "$@" >"$work/new"
    chmod "$mode" "$work/new"
    mv -f "$work/new" "$target"
    rmdir "$work"
    work= renewed=yes
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

# Below DESTDIR a symbolic link is not followed, because it leads outside.
is_inside() { [ -z "$DESTDIR" ] || [ ! -L "$DESTDIR$1" ]; }

# Prints the crontab of busybox's crond, if this box has one: in OpenWrt's and Alpine's directory, or the usual one.
# /etc/crontabs is looked for first: only such boxes have it, while a package may install a cron.d that this crond
# does not read.
crontab() {
    for folder in "$SYSCONFDIR/crontabs" /var/spool/cron/crontabs; do
        if [ -d "$DESTDIR$folder" ] && is_inside "$folder"; then
            echo "$DESTDIR$folder/root"
            return
        fi
        # Cronie and Debian's cron also keep users' crontabs in /var/spool, but read cron.d.
        [ ! -d "$DESTDIR$SYSCONFDIR/cron.d" ] || return 0
    done
}

# edit WHAT TABLE COMMAND...: passes a crontab through the command, if that changes it. The other lines stay the same to
# the last byte, even without a final newline. The rename makes crond read the file again: it checks the directory's
# mtime every minute, and ignores names with a dot.
edit() {
    what=$1 table=$2 now=$2
    shift 2
    [ -f "$table" ] || now=/dev/null
    ! "$@" <"$now" | cmp -s - "$now" || return 0
    if [ -L "$table" ]; then
        [ -z "$DESTDIR" ] || fail "cron: ${table#"$DESTDIR"} is a link to outside of $DESTDIR, edit it by hand"
        table=$(readlink -f "$table")
    fi
    work=${table%/*}/.tcpmon.$$
    private "$work"
    if [ -f "$table" ]; then
        cp -p "$table" "$work/new"
    else
        (umask 077 && : >"$work/new")
    fi
    "$@" <"$now" >|"$work/new"
    if [ -s "$work/new" ]; then mv -f "$work/new" "$table"; else rm -f "$work/new" "$table"; fi
    rmdir "$work"
    work=
    say "${table#"$DESTDIR"}: $what"
}

# For edit: the first adds our line at the top, the second removes it, the third brings its command up to date and
# leaves what the operator has made of the rest. In a crontab, our lines end with the mark. The file in cron.d may be that
# of a removed Debian package, whose line starts nothing without the package's program.
with_line() { echo "* * * * * $command $mark" && cat; }
without_line() { sed "/$mark\$/d"; }
up_to_date() { sed -e "${1}s/test -d [^|]*|| test ! -x [^|]*|| //" -e "${1}s|[^[:blank:]]*/tcpmon start\\( --unless-stopped\\)\\{0,1\\} -c [^[:blank:]]*|$command|"; }

# keep_line FILE PATTERN: brings the lines that match up to date. A comment stays a comment.
keep_line() {
    edit "line brought up to date" "$1" up_to_date "/$2/"
    grep "$2" "$1" | grep -q '^[[:blank:]]*[^#[:blank:]]' ||
        say "cron: the line that starts tcpmon is not in force in ${1#"$DESTDIR"}, it stays so"
}

# Adds the line that cron runs every minute: it does nothing while a monitor runs or is stopped by hand.
add_cron() {
    found=
    for folder in "$SYSCONFDIR/crontabs" /var/spool/cron/crontabs; do
        if is_inside "$folder" && grep -qs "$mark\$" "$DESTDIR$folder/root"; then
            found=yes
            keep_line "$DESTDIR$folder/root" "$mark\$"
        fi
    done
    # The whole file is ours. It may be a link to /dev/null.
    if [ -e "$DESTDIR$cron_d" ]; then
        found=yes
        keep_line "$DESTDIR$cron_d" "tcpmon start "
    fi
    table=$(crontab)
    if [ -z "$found" ]; then
        if [ -z "$table" ] && [ ! -d "$DESTDIR$SYSCONFDIR/cron.d" ] && [ -z "$staging" ]; then
            say "cron: not found, let another service run \"$command\" every minute or at boot"
            return
        fi
        if [ -n "$before" ] && [ -z "$asked" ]; then
            say "cron: has no line that starts tcpmon, it stays so (START=cron adds one)"
            return
        fi
        if [ -n "$table" ]; then
            edit "line added" "$table" with_line
            # OpenWrt starts no crond while there is no crontab.
            if [ -z "$DESTDIR" ] && [ -f /etc/rc.common ] && [ -x /etc/init.d/cron ]; then
                /etc/init.d/cron enable || true
                /etc/init.d/cron restart || true
            fi
        # A DESTDIR without /etc is a package that is being built: it gets its own file in cron.d.
        else
            put 644 "$cron_d" printf '%s\n' "# Starts tcpmon if it does not run already." "* * * * * root $command"
        fi
    fi
    if [ -z "$DESTDIR" ] && type pidof >/dev/null 2>&1 && ! pidof crond cron >/dev/null; then
        say "cron: not running, nothing starts tcpmon until it runs"
    fi
}

remove_cron() {
    remove_file "$cron_d"
    for folder in "$SYSCONFDIR/crontabs" /var/spool/cron/crontabs; do
        if is_inside "$folder"; then edit "line removed" "$DESTDIR$folder/root" without_line; fi
    done
}

# These two end the service's run, too. Cron would start it a minute later.
remove_systemd() {
    [ -e "$DESTDIR$unit" ] || return 0
    if [ -z "$DESTDIR" ]; then
        if [ "$START" = cron ] && systemctl is-active -q tcpmon; then ran=yes; fi
        systemctl disable --now tcpmon || true
    fi
    remove_file "$unit"
    [ ! -e "$DESTDIR$unit.d/local.conf" ] || say "$unit.d: kept"
    if [ -z "$DESTDIR" ]; then systemctl daemon-reload || true; fi
}

# An older unit let tcpmon write almost everywhere. What the new one does not allow and this configuration needs is written
# once into a file beside it, which is then the operator's.
rights() {
    "$program" check -v -c "$config" 2>/dev/null | while read -r name value _; do
        case $name:$value in
        user:-) echo CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_NET_RAW ;;
        ledger:/*) echo "${value%/*}" ;;
        log_dir:/*) echo "$value" ;;
        esac
    done | while read -r path; do
        case $path in
        /tmp/* | /var/tmp/*) echo PrivateTmp=no ;;
        /home/* | /root/*) echo ProtectHome=no ;;
        /var/* | /run/* | /srv/* | /mnt/* | /media/*) continue ;;
        esac
        echo "$path" | sed 's|^/|ReadWritePaths=-/|'
    done
}
keep_rights() {
    [ -f "$unit" ] && [ ! -e "$unit.d/local.conf" ] && ! grep -q '^ProtectSystem=strict' "$unit" || return 0
    more=$(rights)
    [ -z "$more" ] || put 644 "$unit.d/local.conf" printf '%s\n' "# What the unit does not allow; its comments say more." "[Service]" "$more"
}

remove_procd() {
    [ -e "$DESTDIR$script" ] || return 0
    if [ -z "$DESTDIR" ]; then
        if [ "$START" = cron ] && "$script" running 2>/dev/null; then ran=yes; fi
        "$script" stop || true
        "$script" disable || true
    fi
    remove_file "$script"
}

# stop PROGRAM: ends the running monitor, after its last report. It leaves no note that it was stopped by hand.
# Status: 0 it has ended, 1 none ran, 2 it could not be ended.
stop() {
    [ -x "$1" ] && [ -f "$config" ] || return 1
    status=0
    said=$("$1" stop --for-restart -c "$config" 2>&1) || status=$?
    if [ "$status" = 2 ]; then
        # An older program does not know this option. Its stop leaves no note.
        status=0
        said=$("$1" stop -c "$config" 2>&1) || status=$?
    fi
    if [ "$status" != 0 ]; then
        echo "$said" >&2
        return 2
    fi
    ! echo "$said" | grep -q '^not running'
}

# Ends the run that is not a service's. Succeeds if there was one. The old program knows best how to end its own.
end_run() {
    for each in ${old:+"$old"} "$program"; do
        status=0
        stop "$each" || status=$?
        [ "$status" != 0 ] || return 0
    done
    [ "$status" != 2 ] || fail "install: a monitor that runs could not be ended, it goes on as before"
    return 1
}

# Whether a run could start: it says what is wrong, and that no target is configured.
ready() { "$program" check -q -c "$config"; }

ran=
if [ -n "$remove" ]; then
    # First what would start tcpmon again.
    remove_cron
    remove_systemd
    remove_procd
    status=0
    [ -n "$DESTDIR" ] || stop "$program" || status=$?
    remove_file "$program"
    for page in $pages; do remove_file "$MANDIR/$page"; done
    remove_file "$config.new"
    rmdir "$DESTDIR$LOGDIR" 2>/dev/null || true
    [ ! -f "$DESTDIR$config" ] || say "$config: kept"
    [ ! -d "$DESTDIR$LOGDIR" ] || say "$LOGDIR: kept"
    [ "$status" != 2 ] || fail "uninstall: a monitor that runs could not be ended, it goes on"
    exit 0
fi

asked=$START
if [ -z "$START" ]; then
    START=cron
    [ ! -e "$DESTDIR$script" ] || START=procd
    [ ! -e "$DESTDIR$unit" ] || START=systemd
fi
case $START in
cron | systemd | procd | none) ;;
*) fail "install: START=$START is not known, use cron, systemd, procd or none" ;;
esac
for file in "$BINARY" "$CONFIG" "$here/tcpmon.8" "$here/tcpmon.conf.5" "$here/tcpmon.service" "$here/tcpmon.procd"; do
    [ -f "$file" ] || fail "install: $file is missing, nothing is installed"
done
[ -n "$DESTDIR" ] || "$BINARY" --version >/dev/null 2>&1 || fail "install: $BINARY does not run on this CPU ($(uname -m)), nothing is installed"
staging= before=
[ -z "$DESTDIR" ] || [ -d "$DESTDIR$SYSCONFDIR" ] || staging=yes
[ ! -e "$DESTDIR$program" ] || before=yes

# A service that is installed already is active or inactive; otherwise this is empty.
service=
if [ -z "$DESTDIR" ]; then
    case $START in
    systemd)
        # "activating": it waits for a monitor that was started by other means.
        [ ! -e "$unit" ] || case $(systemctl is-active tcpmon) in
        active | activating | reloading) service=active ;;
        *) service=inactive ;;
        esac ;;
    procd)
        if [ -e "$script" ]; then
            service=inactive
            ! "$script" running 2>/dev/null || service=active
        fi ;;
    cron | none) ;;
    esac
fi

for page in $pages; do put 644 "$MANDIR/$page" fitted "$here/${page##*/}"; done
if [ ! -e "$DESTDIR$config" ] && [ ! -L "$DESTDIR$config" ]; then
    put 644 "$config" fitted "$CONFIG"
elif fitted "$CONFIG" | cmp -s - "$DESTDIR$config"; then
    remove_file "$config.new"
else
    put 644 "$config.new" fitted "$CONFIG"
    say "$config: kept"
fi
[ -d "$DESTDIR$LOGDIR" ] || mkdir -p "$DESTDIR$LOGDIR"

# The new program is installed before the old one's run is ended, so that cron cannot start the old one again in between.
if [ -z "$DESTDIR" ] && [ -f "$program" ] && ! cmp -s "$BINARY" "$program"; then
    old=$SBINDIR/.tcpmon.$$.old/tcpmon
    private "${old%/*}"
    ln "$program" "$old" 2>/dev/null || cp -p "$program" "$old"
fi
renewed=
put 755 "$program" cat "$BINARY"
[ "$START" = cron ] || remove_cron
[ "$START" = systemd ] || remove_systemd
[ "$START" = procd ] || remove_procd
case $START in
cron)
    todo="cron starts it within a minute"
    add_cron ;;
systemd)
    todo="run: systemctl start tcpmon"
    # A link is `systemctl mask`'s, or the operator's own.
    [ -n "$DESTDIR" ] || keep_rights
    [ -L "$DESTDIR$unit" ] || put 644 "$unit" fitted "$here/tcpmon.service"
    [ -n "$DESTDIR" ] || systemctl daemon-reload ;;
procd)
    todo="run: $script start"
    put 755 "$script" fitted "$here/tcpmon.procd" ;;
none)
    todo="run: $program start -c $config" ;;
esac
[ -z "$DESTDIR" ] || exit 0

# Says what the operator has to do, if a run could not start.
first_ready() {
    ready || { say "nothing is started yet: write your targets in $config, then $todo"; return 1; }
}
# An update ends no run that the new program could not start again.
case $START$service in
systemdactive)
    [ -n "$renewed" ] || exit 0
    ready || fail "systemd: not restarted, the running monitor goes on as before: mend $config, then run: systemctl restart tcpmon"
    # The unit waits while a monitor runs that was started by other means.
    systemctl is-active -q tcpmon || end_run || true
    # Not stop and start: a start waits for RestartSec=.
    systemctl restart tcpmon
    say "tcpmon.service: restarted" ;;
procdactive)
    [ -n "$renewed" ] || exit 0
    ready || fail "procd: not restarted, the running monitor goes on as before: mend $config, then run: $script restart"
    "$script" stop
    # procd does not wait for its end.
    (end_run) || true
    "$script" start
    say "$script: restarted" ;;
systemd)
    systemctl enable -q tcpmon
    first_ready || exit 0
    # A monitor that cron started would keep the service waiting.
    end_run || true
    systemctl start tcpmon ;;
procd)
    "$script" enable
    first_ready || exit 0
    end_run || true
    "$script" start ;;
cron | none | systemdinactive | procdinactive)
    if [ -z "$before" ]; then
        ! first_ready || say "$todo"
    elif [ -n "$old" ] && [ -z "$ran" ]; then
        ready || { say "not restarted, a running monitor goes on as before until $config is mended"; exit 0; }
        ! end_run || ran=yes
    fi
    if [ -n "$ran" ]; then
        "$program" start -c "$config"
        say "$program: restarted"
    fi ;;
esac
