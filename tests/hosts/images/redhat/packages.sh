#!/bin/sh
# Runs while the image is built: packages of rpm with the layouts of RHEL 9's httpd, mod_ssl, nginx and haproxy, made from
# the servers that apt has installed, and a repository of them in /opt/rtc-lab-repository.
set -eu
top=/tmp/rpm
repository=/opt/rtc-lab-repository
mkdir -p "$top" "$repository"

# make_package NAME VERSION REQUIRES USER: from the tree $top/NAME. What is below /etc and no unit is configuration.
make_package() {
    name=$1 version=$2 requires=$3 user=$4
    {
        printf 'Name: %s\nVersion: %s\nRelease: 1.el9\nSummary: %s as the RHEL family lays it out\n' "$name" "$version" "$name"
        printf 'License: none\nAutoReqProv: no\n'
        [ -z "$requires" ] || printf 'Requires: %s\n' "$requires"
        printf '%%description\nOf the lab.\n%%install\ncp -a %s/. %%{buildroot}\n' "$top/$name"
        if [ -n "$user" ]; then
            printf '%%pre\ngetent passwd %s >/dev/null || useradd --system --no-create-home --shell /sbin/nologin %s\n' "$user" "$user"
        fi
        printf '%%post\nsystemctl daemon-reload >/dev/null 2>&1 || :\n'
        printf '%%preun\n[ "$1" -gt 0 ] || systemctl --no-reload disable --now %s.service >/dev/null 2>&1 || :\n' "$name"
        printf '%%files\n'
        (cd "$top/$name" && find . -type d -empty | sed 's|^\.|%dir |')
        (cd "$top/$name" && find . ! -type d | sed 's|^\.||' | sed -E 's|^/etc/|%config(noreplace) /etc/|')
    } >"$top/$name.spec"
    rpmbuild --quiet -bb --define "_rpmdir $repository" --define "_topdir $top/build" --define "_build_id_links none" \
        --define "__os_install_post %{nil}" "$top/$name.spec"
}

put() { # FILE, content from standard input
    mkdir -p "$(dirname "$1")"
    cat >"$1"
}

# --- httpd ------------------------------------------------------------------------------------------------
tree=$top/httpd
modules=$tree/usr/lib64/httpd/modules
mkdir -p "$tree/etc/httpd/conf.d" "$tree/usr/sbin" "$tree/usr/libexec/httpd" "$modules" \
    "$tree/var/www/html" "$tree/var/log/httpd"
cp /usr/sbin/apache2 "$tree/usr/libexec/httpd/httpd"
cp /usr/lib/apache2/modules/*.so "$modules/"
rm "$modules/mod_ssl.so"
# Debian's build looks for its files elsewhere, and says "apache2" of itself.
put "$tree/usr/sbin/httpd" <<'CONF'
#!/bin/bash
exec -a /usr/sbin/httpd /usr/libexec/httpd/httpd -d /etc/httpd -f conf/httpd.conf "$@"
CONF
put "$tree/usr/sbin/apachectl" <<'CONF'
#!/bin/sh
case $1 in
start | restart | status | graceful | stop) exec systemctl "$1" httpd.service ;;
configtest) exec /usr/sbin/httpd -t ;;
*) exec /usr/sbin/httpd "$@" ;;
esac
CONF
chmod 0755 "$tree/usr/sbin/httpd" "$tree/usr/sbin/apachectl"
ln -s /usr/lib64/httpd/modules "$tree/etc/httpd/modules"
ln -s /var/log/httpd "$tree/etc/httpd/logs"
ln -s /run/httpd "$tree/etc/httpd/run"
put "$tree/etc/httpd/conf/httpd.conf" <<'CONF'
ServerRoot "/etc/httpd"
PidFile run/httpd.pid
Listen 80
Include conf.modules.d/*.conf
User apache
Group apache
ServerAdmin root@localhost
<Directory />
    AllowOverride none
    Require all denied
</Directory>
DocumentRoot "/var/www/html"
<Directory "/var/www">
    AllowOverride None
    Require all granted
</Directory>
<IfModule dir_module>
    DirectoryIndex index.html
</IfModule>
<IfModule mime_module>
    TypesConfig /etc/mime.types
</IfModule>
<Files ".ht*">
    Require all denied
</Files>
ErrorLog "logs/error_log"
LogLevel warn
LogFormat "%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\"" combined
CustomLog "logs/access_log" combined
AddDefaultCharset UTF-8
IncludeOptional conf.d/*.conf
CONF
load() { for module; do
    if [ -e "$modules/mod_$module.so" ] || [ "$module" = ssl ]; then
        echo "LoadModule ${module}_module modules/mod_$module.so"
    fi
done; }
load access_compat alias auth_basic authn_core authn_file authz_core authz_host authz_user autoindex deflate dir env \
    expires filter headers mime negotiation remoteip reqtimeout rewrite setenvif socache_shmcb status unixd watchdog \
    | put "$tree/etc/httpd/conf.modules.d/00-base.conf"
load mpm_event | put "$tree/etc/httpd/conf.modules.d/00-mpm.conf"
load proxy proxy_ajp proxy_balancer proxy_http proxy_wstunnel slotmem_shm lbmethod_bybusyness lbmethod_byrequests \
    | put "$tree/etc/httpd/conf.modules.d/00-proxy.conf"
put "$tree/usr/lib/tmpfiles.d/httpd.conf" <<'CONF'
d /run/httpd 710 root apache
CONF
put "$tree/usr/lib/systemd/system/httpd.service" <<'CONF'
[Unit]
Description=The Apache HTTP Server
After=network.target remote-fs.target nss-lookup.target

[Service]
Type=exec
Environment=LANG=C
ExecStart=/usr/sbin/httpd $OPTIONS -DFOREGROUND
ExecReload=/usr/sbin/httpd $OPTIONS -k graceful
KillSignal=SIGWINCH
KillMode=mixed
RuntimeDirectory=httpd
PrivateTmp=true

[Install]
WantedBy=multi-user.target
CONF
put "$tree/etc/mime.types" <<'CONF'
text/html html
CONF
make_package httpd 2.4.62 "" apache

# --- mod_ssl ----------------------------------------------------------------------------------------------
tree=$top/mod_ssl
mkdir -p "$tree/usr/lib64/httpd/modules"
cp /usr/lib/apache2/modules/mod_ssl.so "$tree/usr/lib64/httpd/modules/"
load ssl | put "$tree/etc/httpd/conf.modules.d/00-ssl.conf"
# RHEL's has a virtual host on 443 with a certificate that a service of its own makes; here is what matters to others.
put "$tree/etc/httpd/conf.d/ssl.conf" <<'CONF'
Listen 443 https
SSLSessionCache shmcb:/run/httpd/sslcache(512000)
SSLSessionCacheTimeout 300
CONF
make_package mod_ssl 2.4.62 httpd ""

# --- nginx ------------------------------------------------------------------------------------------------
tree=$top/nginx
mkdir -p "$tree/usr/sbin" "$tree/etc/nginx/conf.d" "$tree/etc/nginx/default.d" "$tree/usr/share/nginx/html" \
    "$tree/var/log/nginx" "$tree/var/lib/nginx" "$tree/usr/share/nginx/modules"
cp /usr/sbin/nginx "$tree/usr/sbin/nginx"
cp /etc/nginx/mime.types "$tree/etc/nginx/mime.types"
put "$tree/etc/nginx/nginx.conf" <<'CONF'
user nginx;
worker_processes auto;
error_log /var/log/nginx/error.log;
pid /run/nginx.pid;

# Load dynamic modules.
include /usr/share/nginx/modules/*.conf;

events {
    worker_connections 1024;
}

http {
    log_format  main  '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent';
    access_log  /var/log/nginx/access.log  main;
    sendfile            on;
    tcp_nopush          on;
    keepalive_timeout   65;
    types_hash_max_size 4096;
    include             /etc/nginx/mime.types;
    default_type        application/octet-stream;

    include /etc/nginx/conf.d/*.conf;

    server {
        listen       80;
        listen       [::]:80;
        server_name  _;
        root         /usr/share/nginx/html;

        include /etc/nginx/default.d/*.conf;
    }
}
CONF
put "$tree/usr/lib/systemd/system/nginx.service" <<'CONF'
[Unit]
Description=The nginx HTTP and reverse proxy server
After=network-online.target remote-fs.target nss-lookup.target
Wants=network-online.target

[Service]
Type=forking
PIDFile=/run/nginx.pid
ExecStartPre=/usr/bin/rm -f /run/nginx.pid
ExecStartPre=/usr/sbin/nginx -t
ExecStart=/usr/sbin/nginx
ExecReload=/usr/sbin/nginx -s reload
KillSignal=SIGQUIT
TimeoutStopSec=5
KillMode=mixed
PrivateTmp=true

[Install]
WantedBy=multi-user.target
CONF
make_package nginx 1.20.1 "" nginx

# --- haproxy ----------------------------------------------------------------------------------------------
tree=$top/haproxy
mkdir -p "$tree/usr/sbin" "$tree/etc/haproxy/conf.d" "$tree/var/lib/haproxy"
cp /usr/sbin/haproxy "$tree/usr/sbin/haproxy"
put "$tree/etc/haproxy/haproxy.cfg" <<'CONF'
global
    log         127.0.0.1 local2
    chroot      /var/lib/haproxy
    pidfile     /var/run/haproxy.pid
    maxconn     4000
    user        haproxy
    group       haproxy
    daemon
    stats socket /var/lib/haproxy/stats

defaults
    mode                    http
    log                     global
    option                  httplog
    option                  dontlognull
    option http-server-close
    option forwardfor       except 127.0.0.0/8
    option                  redispatch
    retries                 3
    timeout http-request    10s
    timeout queue           1m
    timeout connect         10s
    timeout client          1m
    timeout server          1m
    timeout http-keep-alive 10s
    timeout check           10s
    maxconn                 3000
CONF
put "$tree/etc/sysconfig/haproxy" <<'CONF'
# Add extra options to the haproxy daemon here.
OPTIONS=""
CONF
put "$tree/usr/lib/systemd/system/haproxy.service" <<'CONF'
[Unit]
Description=HAProxy Load Balancer
After=network-online.target
Wants=network-online.target

[Service]
EnvironmentFile=-/etc/sysconfig/haproxy
Environment="CONFIG=/etc/haproxy/haproxy.cfg" "PIDFILE=/run/haproxy.pid" "CFGDIR=/etc/haproxy/conf.d"
ExecStartPre=/usr/sbin/haproxy -f $CONFIG -f $CFGDIR -c -q $OPTIONS
ExecStart=/usr/sbin/haproxy -Ws -f $CONFIG -f $CFGDIR -p $PIDFILE $OPTIONS
ExecReload=/usr/sbin/haproxy -f $CONFIG -f $CFGDIR -c -q $OPTIONS
ExecReload=/bin/kill -USR2 $MAINPID
KillMode=mixed
SuccessExitStatus=143
Type=notify

[Install]
WantedBy=multi-user.target
CONF
make_package haproxy 2.4.22 "" haproxy

# What dnf would have from the system's own packages; here it is Debian's, of which rpm knows nothing.
cat >"$top/ground.spec" <<'CONF'
Name: lab-ground
Version: 1
Release: 1.el9
Summary: Stands for what every host has
License: none
Provides: /bin/sh
%description
Of the lab.
%files
CONF
rpmbuild --quiet -bb --define "_rpmdir $top" --define "_topdir $top/build" "$top/ground.spec"
rpm --install --nodeps "$top"/*/lab-ground-*.rpm

createrepo_c --quiet "$repository"
rm -rf "$top"
