#!/bin/sh
# Write the whole client, without POSIX, as one file to the standard output. It needs certless.h and
# BearSSL. For another library, leave the part of certless_bearssl.c out.
set -eu
cd "$(dirname "$0")"
part() {
    printf '\n/* ---- %s ---- */\n\n' "$(basename "$1")"
    grep -v -e '^#include "certless' "$1"
}
echo '/* The Certless client in one file, made by amalgamate.sh. Do not edit it. */'
echo '#include "certless.h"'
for file in include/certless_crypto.h src/certless_internal.h src/certless_[bklmrs]*.c; do
    part "$file"
done
