#!/bin/sh
# Copies an archive of `make dist` to a box that has a shell, tar and gzip, and runs its install.sh there. One
# connection for all: small ssh servers have no sftp, and a password is asked for only once.
#
# usage: deploy.sh HOST ARCHIVE [install.sh's arguments]     SSH="ssh -p 2222" in the environment
set -eu
[ $# -ge 2 ] || { echo "usage: make deploy HOST=root@router ARCH=armv7 [SSH=\"ssh -p 2222\"] [INSTALL=START=procd]" >&2; exit 2; }
host=$1 archive=$2
shift 2
[ -f "$archive" ] || { echo "tcpmon: deploy: $archive is missing, make dist makes it" >&2; exit 1; }
# ssh passes one command line to the remote shell: quote each argument.
arguments=
for word; do
    arguments="$arguments '$(printf '%s' "$word" | sed "s/'/'\\\\''/g")'"
done
# mkdir fails if the directory exists: it would not be ours.
exec ${SSH:-ssh} "$host" "set -e
umask 022
dir=/tmp/tcpmon-install.\$\$
mkdir -m 700 \$dir
trap 'rm -rf \$dir' EXIT
trap 'exit 1' HUP INT TERM
gzip -dc | tar xf - -C \$dir
sh \$dir/tcpmon-*/install.sh$arguments" <"$archive"
