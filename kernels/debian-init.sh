#!/bin/busybox sh
# The first program of a Linux guest: loads the modules that its disk needs, finds the root by the name of its
# partition (smol.root= on the kernel's command line), and hands over to the init that is there.
bb=/bin/busybox
$bb mount -t devtmpfs dev /dev
$bb mount -t proc proc /proc
$bb mount -t sysfs sys /sys
echo 'smol: init'
while read -r module; do
    $bb insmod "/modules/$module"
done < /modules/order

root=
for word in $($bb cat /proc/cmdline); do
    case $word in smol.root=*) root=${word#smol.root=} ;; esac
done

try=0
while [ $try -lt 100 ]; do
    for uevent in /sys/class/block/*/uevent; do
        if $bb grep -q "^PARTNAME=$root\$" "$uevent" 2>/dev/null; then
            device=$($bb sed -n 's/^DEVNAME=//p' "$uevent")
            $bb mount -t ext2 -o noatime "/dev/$device" /root 2>/dev/null ||
                $bb mount -t ext4 -o noatime "/dev/$device" /root || break 2
            $bb umount /proc /sys
            $bb mount -o move /dev /root/dev
            exec $bb switch_root /root /sbin/init
        fi
    done
    $bb usleep 50000
    try=$((try + 1))
done
echo "smol: no root partition named $root"
$bb poweroff -f
