# Helpers of the cases in ../vars; sourced by bash as root on the test host.
set -euo pipefail

INSTALL=/opt/atlassian/confluence
XML=$INSTALL/conf/server.xml
SETENV=$INSTALL/bin/setenv.sh
CACERTS=$INSTALL/jre/lib/security/cacerts
SYSTEM=/etc/pki/ca-trust/extracted
SITES=/etc/nginx/sites-available
RTC=$SITES/rtc-confluence-9083.conf
APPLICATION=$SITES/confluence-confluence.lab.test-443.conf
UNIT=/etc/systemd/system/confluence.service
RECORD=/var/lib/collab-rtc/managed.json
KEPT=/root/kept

# Keep a copy of all that cases break.
keep() {
    install -d -m 0700 $KEPT.new
    tar -cP "$XML" "$SETENV" "$CACERTS" /etc/nginx /etc/nsswitch.conf /etc/hosts | tar -x -C $KEPT.new
    mv $KEPT.new $KEPT
}

# Everything as it was, with its time, and nginx has loaded it. /etc/hosts is a mount: written in place.
restore() {
    if ! diff -r --no-dereference $KEPT/etc/nginx /etc/nginx >/dev/null; then
        rm -rf /etc/nginx/sites-available /etc/nginx/sites-enabled
        cp -a $KEPT/etc/nginx/. /etc/nginx/
        systemctl is-active -q nginx && load
    fi
    cp -a $KEPT/$XML $XML
    cp -a $KEPT/$SETENV $SETENV
    cp -a --remove-destination $KEPT/$CACERTS $CACERTS
    cat $KEPT/etc/hosts >/etc/hosts
    cat $KEPT/etc/nsswitch.conf >/etc/nsswitch.conf
}

# Let nginx load its files, and wait until it has. A file that changes within 0.03 s of that would not count as newer.
load() {
    local before
    before=$(workers)
    systemctl reload nginx
    wait_for has_new_workers "$before"
    sleep 0.1
}

# The process ids of nginx's workers that are not on their way out.
workers() { ps -C nginx -o pid=,args= | awk '/worker process/ && !/shutting down/ { print $1 }'; }

# has_new_workers PIDS: whether there are some, and none of these.
has_new_workers() { [ -n "$(workers)" ] && ! grep -qxF "${1:-none}" <<<"$(workers)"; }

# edit FILE SED-EXPRESSION...: change a file and keep its time, so that no restart looks pending. Fails when nothing changed.
edit() {
    local file=$1 before
    shift
    before=$(mktemp)
    cp -p "$file" "$before"
    sed -E -i "$@" "$file"
    touch -r "$before" "$file"
    if cmp -s "$before" "$file"; then
        echo "$file: the edit changed nothing: $*" >&2
        return 1
    fi
}

# wait_for CONDITION...: until the command succeeds, half a minute at most.
wait_for() {
    for _ in $(seq 300); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.1
    done
    echo "not within half a minute: $*" >&2
    return 1
}

# listens ADDRESS:PORT
listens() { ss -Hltn | awk '{ sub(/^\[::ffff:/, "", $4); sub(/\]/, "", $4); print $4 }' | grep -qxF "$1"; }

# Start the application without its service. Its script changes the user, and so may get a session of its own.
start_by_hand() {
    systemd-run --scope --quiet "$INSTALL/bin/start-confluence.sh"
    wait_for listens 127.0.0.1:8090
}

stop_by_hand() {
    pkill -f -- "-Dcatalina.base=$INSTALL"
    wait_for closed 127.0.0.1:8090
}

closed() { ! listens "$1"; }

# see_selinux BOOLEAN...: where the kernel says it, SELinux enforces, and its policy has these booleans.
see_selinux() {
    mkdir -p /run/sys/selinux/booleans /run/sys/cgroup
    mount --rbind /sys/fs/cgroup /run/sys/cgroup
    mount --make-rslave /run/sys/cgroup # else systemd's own go with these
    mount --rbind /run/sys /sys/fs
    echo 1 >/sys/fs/selinux/enforce
    for name; do echo 0 0 >"/sys/fs/selinux/booleans/$name"; done
}

forget_selinux() {
    umount -l /sys/fs
    ! mountpoint -q /run/sys/cgroup || umount -l /run/sys/cgroup
    rm -r --one-file-system /run/sys
}
