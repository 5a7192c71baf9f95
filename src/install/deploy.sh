#!/bin/sh
# Brings an archive of `make dist` to a box that has a shell, tar and gzip, and runs its install.sh
# there. All goes through one connection: small ssh servers have no sftp, and a password is asked for once.
#
# usage: deploy.sh HOST ARCHIVE [install.sh's arguments]     SSH="ssh -p 2222" in the environment
set -eu
[ $# -ge 2 ] || { echo "usage: make deploy HOST=root@router ARCH=armv7 [SSH=\"ssh -p 2222\"] [INSTALL=START=procd]" >&2; exit 2; }
host=$1 archive=$2
shift 2
[ -f "$archive" ] || { echo "tcpmon: deploy: $archive is missing, make dist makes it" >&2; exit 1; }
# ssh gives the other shell one line: each argument in quotes of its own.
arguments=
for word; do
    arguments="$arguments '$(printf '%s' "$word" | sed "s/'/'\\\\''/g")'"
done
# A directory that is there already is not ours, and ends it.
exec ${SSH:-ssh} "$host" "set -e
umask 022
place=/tmp/tcpmon-install.\$\$
mkdir -m 700 \$place
trap 'rm -rf \$place' EXIT
gzip -dc | tar xf - -C \$place
sh \$place/tcpmon-*/install.sh$arguments" <"$archive"
