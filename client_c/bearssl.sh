#!/bin/sh
# Put the sources of BearSSL into FOLDER, from the distribution that also has libbearssl-dev.
# The lists of source packages are in a folder of their own, so nothing on the machine changes.
set -eu
folder=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/lists" "$work/sources"
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list; do
    if [ -e "$file" ]; then
        sed -e 's/^Types:.*/Types: deb-src/' -e 's/^deb /deb-src /' "$file" > "$work/sources/$(basename "$file")"
    fi
done
# sources.list has the form of a .list file.
[ ! -e "$work/sources/sources.list" ] || mv "$work/sources/sources.list" "$work/sources/main.list"
apt() {
    apt-get -qq -o Dir::Etc::SourceParts="$work/sources" -o Dir::Etc::SourceList=/dev/null \
        -o Dir::State::Lists="$work/lists" -o APT::Sandbox::User=root "$@"
}
# Some repositories have no sources. What matters is whether bearssl is found.
apt update || :
(cd "$work" && apt source --download-only bearssl)
mkdir -p "$folder"
tar -xf "$work"/bearssl_*.orig.tar.* --strip-components=1 -C "$folder"
