#!/bin/sh
exec /usr/local/sbin/tcpmon cgi -c /etc/tcpmon.conf
