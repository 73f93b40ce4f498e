# nitro takes init's place: it runs etc/nitro/SYS/setup, and then keeps what has a run script.
set -e
mkdir -p usr/pkg
tar xzf tmp/nitro.tgz --exclude='+*' -C usr/pkg
rm tmp/nitro.tgz
mv usr/pkg/sbin/nitro sbin/init
nitro=usr/pkg/etc/nitro
mkdir -p $nitro/SYS $nitro/LOG $nitro/sshd
ln -sf /etc/rc $nitro/SYS/setup
chmod 755 etc/rc
cat > $nitro/LOG/run <<'END'
#!/bin/sh
exec cat > /dev/console 2>&1
END
cat > $nitro/sshd/run <<'END'
#!/bin/sh
keys=/var/run/sshd
exec /usr/sbin/sshd -D -e -h $keys/host_key -o "AuthorizedKeysFile $keys/authorized_keys" \
    -o 'PermitRootLogin prohibit-password' -o 'PasswordAuthentication no' -o 'KbdInteractiveAuthentication no' 2>&1
END
chmod 755 $nitro/LOG/run $nitro/sshd/run
ln -sf /var/run/nitro/nitro.sock usr/pkg/etc/nitro.sock
