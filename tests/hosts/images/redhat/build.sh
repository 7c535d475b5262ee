#!/bin/sh
# Runs while the image is built: gives a Debian host the ground of the RHEL family.
#   build.sh tools     what apt has of it
#   build.sh layout    the rest
#
# Real: dnf, rpm and a repository; firewalld; SELinux's tools and a policy store; update-ca-trust's generated cacerts; the
# layouts of httpd, mod_ssl, nginx and haproxy. Not real: the kernel does not enforce, the policy is Debian's, the servers
# in the packages are Debian's builds.
set -eu
here=$(dirname "$0")
export DEBIAN_FRONTEND=noninteractive

if [ "$1" = tools ]; then
    # The last three are what the packages' servers are made of.
    apt-get install -y --no-install-recommends \
        rpm dnf python3-dnf createrepo-c firewalld python3-firewall netbase \
        selinux-policy-default semanage-utils policycoreutils policycoreutils-python-utils selinux-utils \
        p11-kit p11-kit-modules apache2-bin nginx haproxy
    exit
fi

sh "$here/packages.sh"

# Debian's own servers and their configuration are gone: only dnf brings one. Libraries are no longer "automatic".
servers="apache2 apache2-bin apache2-data apache2-utils nginx nginx-core nginx-common haproxy"
# shellcheck disable=SC2046
apt-mark manual $(apt-mark showauto) >/dev/null
# shellcheck disable=SC2086
dpkg --purge --force-depends $servers 2>/dev/null || true
rm -rf /etc/apache2 /etc/nginx /etc/haproxy /usr/lib/apache2 /var/www /usr/share/nginx /lib/systemd/system/nginx.service
for user in www-data haproxy; do userdel --force "$user" 2>/dev/null || true; done

mkdir -p /etc/yum.repos.d
cat >/etc/yum.repos.d/lab.repo <<'CONF'
[lab]
name=The lab's packages
baseurl=file:///opt/rtc-lab-repository
enabled=1
gpgcheck=0
CONF

# Who it says it is.
cat >/usr/lib/os-release <<'CONF'
NAME="Red Hat Enterprise Linux"
VERSION="9.4 (Plow)"
ID="rhel"
ID_LIKE="fedora"
VERSION_ID="9.4"
PLATFORM_ID="platform:el9"
PRETTY_NAME="Red Hat Enterprise Linux 9.4 (Plow)"
CONF
ln -sf ../usr/lib/os-release /etc/os-release
echo 'Red Hat Enterprise Linux release 9.4 (Plow)' >/etc/redhat-release
rm -f /etc/debian_version

# Authorities: /etc/pki, and the command that generates what is extracted from there.
install -d /etc/pki/ca-trust/source/anchors /etc/pki/ca-trust/extracted/java /etc/pki/ca-trust/extracted/pem \
    /etc/pki/tls/certs /etc/pki/tls/private /etc/pki/java /usr/share/pki/ca-trust-source/anchors
cp /etc/ssl/certs/ca-certificates.crt /usr/share/pki/ca-trust-source/anchors/
install -D -m 0644 "$here/trust.module" /etc/pkcs11/modules/p11-kit-trust.module
install -m 0755 "$here/update-ca-trust" /usr/bin/update-ca-trust
ln -sf /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem /etc/pki/tls/certs/ca-bundle.crt
ln -sf /etc/pki/ca-trust/extracted/java/cacerts /etc/pki/java/cacerts
update-ca-trust
# Jira runs on Java as the family packages it: its cacerts leads to what is generated. Confluence has the installer's own.
if [ -d /opt/atlassian/jira/jre ]; then
    ln -sfn /etc/pki/java/cacerts /opt/atlassian/jira/jre/lib/security/cacerts
fi

# firewalld: the interface is in a zone that is not the default one, with what an administrator has opened there.
install -m 0644 "$here/internal.xml" /etc/firewalld/zones/internal.xml
systemctl enable firewalld.service

# SELinux looks enforcing: first-boot puts a file where the kernel has its own. getsebool asks the kernel, so it cannot know.
install -D -m 0755 "$here/getsebool" /usr/local/sbin/getsebool
install -D -m 0755 "$here/getsebool" /usr/sbin/getsebool
install -D -m 0755 "$here/enforcing" /usr/local/lib/rtc-lab-host/enforcing
printf 'SELINUX=enforcing\nSELINUXTYPE=default\n' >/etc/selinux/config
