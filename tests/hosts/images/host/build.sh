#!/bin/sh
# Runs once while the image is built: what every host of the lab has.
set -eu
here=$(dirname "$0")

useradd --create-home --shell /bin/bash admin
install -d -m 0700 -o admin -g admin /home/admin/.ssh
echo 'admin ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/admin
chmod 0440 /etc/sudoers.d/admin

# Host keys come from the lab's state directory at the first start, so that known_hosts stays right after a reset.
rm -f /etc/ssh/ssh_host_*
cat >/etc/ssh/sshd_config.d/lab.conf <<'CONF'
HostKey /etc/ssh/ssh_host_ed25519_key
PasswordAuthentication no
PermitRootLogin no
UseDNS no
CONF
systemctl enable ssh.service

install -D -m 0755 "$here/first-boot" /usr/local/lib/rtc-lab-host/first-boot
# No console in a container: a login prompt there would only fail and be restarted.
systemctl mask console-getty.service getty.target

# The lists stay in the image: a role may install packages at once.
apt-get update
