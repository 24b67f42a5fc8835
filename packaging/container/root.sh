#!/bin/sh
# Make the root folder of the image from a binary and the Debian that this runs in.
#
#   packaging/container/root.sh BINARY FOLDER
set -eu
binary=$1 root=$2

install -D -m 755 "$binary" "$root/usr/bin/tieline"
# The loader and the libraries, where the binary looks for them. The name service of glibc is in libc itself.
ldd "$binary" | grep -o '/[^ ]*' | while read -r library; do
    install -D -m 755 "$library" "$root$library"
done
install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
echo 'tieline:x:65532:65532::/nonexistent:/nonexistent' >"$root/etc/passwd"
echo 'tieline:x:65532:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
