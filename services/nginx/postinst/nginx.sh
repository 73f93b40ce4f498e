# Runs in the builder, in the new root. sailor takes programs of the builder with the libraries that they need, and
# installs packages by pkgin (https://github.com/NetBSDfr/sailor).
set -e
root=$PWD
tar xzf /usr/share/sailor.tgz -C /var/tmp
cd /var/tmp/sailor-*
cat > "$SVCIMG.conf" <<END
shipname=$SVCIMG
shippath=$root/.ship
shipbins="/bin/sh /bin/cat /bin/ls /bin/sync /sbin/ifconfig /sbin/init /sbin/mknod /sbin/mount /sbin/mount_ext2fs
    /sbin/mount_ffs /sbin/mount_qemufwcfg /sbin/mount_tmpfs /sbin/reboot /sbin/route /sbin/umount"
packages=nginx
END
sh ./sailor.sh build "$SVCIMG.conf"
# sailor wants a directory that is not there yet; what it made belongs at the top. What the service itself brings, stays.
cd "$root/.ship"
rm -f etc/rc etc/fstab shipid
pax -rw -pe . "$root"
cd "$root"
rm -rf .ship tmp/*
