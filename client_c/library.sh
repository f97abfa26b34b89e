#!/bin/sh
# Put one library for Arduino, PlatformIO and ESP-IDF into FOLDER: library.sh BEARSSL FOLDER FILES.
# BEARSSL has the sources of BearSSL (bearssl.sh), of which FILES are used, because none of the three tools has a package
# of them that all their boards can use. All sources are in src/ itself: Arduino has no other
# include path, and BearSSL includes its own headers by their names.
set -eu
cd "$(dirname "$0")"
bearssl=$1
folder=$2
shift 2
rm -rf "$folder"
mkdir -p "$folder/src"
cp -R package/. "$folder"
cp ../LICENSE "$folder/LICENSE"
cp "$bearssl/LICENSE.txt" "$folder/LICENSE.bearssl"
cp include/certless.h include/certless_crypto.h src/certless_internal.h src/certless_[bklmrs]*.c "$folder/src"
cp "$bearssl"/inc/*.h "$bearssl/src/inner.h" "$bearssl/src/config.h" "$folder/src"
cp "$@" "$folder/src"
