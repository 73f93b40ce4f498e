#!/bin/sh
PATH=/bin
read -r up _ < /proc/uptime
printf 'Content-Type: text/html; charset=utf-8\r\n\r\n'
cat <<PAGE
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>hello from smol</title>
<style>
body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 4rem auto; padding: 0 1rem; color-scheme: light dark }
dt { opacity: .7 } dd { margin: 0 0 .6rem; font-family: ui-monospace, monospace }
</style>
<h1>Hello from a micro-VM</h1>
<dl>
<dt>Guest</dt><dd>$(uname -s) $(uname -r), $(uname -m)</dd>
<dt>Host name</dt><dd>$(hostname)</dd>
<dt>Root</dt><dd>$(awk '$2 == "/" && $1 != "rootfs" { print $1, "(" $3 ")" }' /proc/mounts)</dd>
<dt>Memory</dt><dd>$(awk '/^MemTotal/ { print int($2 / 1024) " MiB" }' /proc/meminfo)</dd>
<dt>Up for</dt><dd>$up s</dd>
</dl>
<p>Built by smol from <code>services/hello</code>: change it and run <code>smol run hello</code> again.</p>
PAGE
