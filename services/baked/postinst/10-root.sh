# Runs in the builder, as root, in the new root. What it calls by chroot are the new system's own programs, of whatever
# architecture that is.
set -e
mkdir -p bin sbin dev proc var/www
cp /bin/busybox bin/busybox
for applet in $(chroot . /bin/busybox --list | grep -vx busybox); do
    ln -s busybox "bin/$applet"
done
ln -s /bin/busybox sbin/init
[ -e dev/console ] || mknod -m 600 dev/console c 5 1
printf '%s\n' root:x:0:0:root:/:/bin/sh www:x:80:80::/var/www:/bin/false > etc/passwd
printf '%s\n' root:x:0: www:x:80: > etc/group
echo "<h1>baked for $ARCH</h1><p>by $(uname -sm)" > var/www/index.html
chroot . /bin/chown -R www:www /var/www
