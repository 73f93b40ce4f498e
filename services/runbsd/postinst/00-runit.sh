# runit takes init's place (https://smarden.org/runit/replaceinit): etc/runit/1, 2 and 3 are its stages.
set -e
mkdir -p etc/runit etc/sv service
ln -s ../rc etc/runit/1
chmod 755 etc/rc
cat > etc/runit/2 <<'END'
#!/bin/sh
PATH=/sbin:/bin:/usr/sbin:/usr/bin:/usr/pkg/sbin:/usr/pkg/bin
exec env - PATH=$PATH runsvdir -P /service
END
cat > etc/runit/3 <<'END'
#!/bin/sh
PATH=/sbin:/bin:/usr/sbin:/usr/bin:/usr/pkg/sbin:/usr/pkg/bin
sv -w 10 force-stop /service/*
sync
END
chmod 755 etc/runit/2 etc/runit/3
cp -p usr/pkg/sbin/runit usr/pkg/sbin/runit-init sbin/
mv sbin/init sbin/init.bsd
cp -p sbin/runit-init sbin/init

service() {
    mkdir -p "etc/sv/$1"
    printf '#!/bin/sh\nexec 2>&1\n%s\n' "$2" > "etc/sv/$1/run"
    chmod 755 "etc/sv/$1/run"
    ln -s "/etc/sv/$1" "service/$1"
}
service getty-console 'exec /usr/libexec/getty Pc constty'
service sshd 'ssh-keygen -A && exec /usr/sbin/sshd -D -e -o "PasswordAuthentication no"'
