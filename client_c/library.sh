#!/bin/sh
# Put one library for Arduino, PlatformIO and ESP-IDF into FOLDER: library.sh BEARSSL FOLDER.
# BEARSSL has the sources of BearSSL (bearssl.sh), because none of the three tools has a package
# of them that all their boards can use. All sources are in src/ itself: Arduino has no other
# include path, and BearSSL includes its own headers by their names.
set -eu
cd "$(dirname "$0")"
bearssl=$1
folder=$2
rm -rf "$folder"
mkdir -p "$folder/src"
cp -R package/. "$folder"
cp ../LICENSE "$folder/LICENSE"
cp "$bearssl/LICENSE.txt" "$folder/LICENSE.bearssl"
cp include/certless.h include/certless_crypto.h src/certless_internal.h src/certless_[bklmrs]*.c "$folder/src"
cp "$bearssl"/inc/*.h "$bearssl/src/inner.h" "$bearssl/src/config.h" "$folder/src"
for name in codec/ccopy codec/dec32be codec/enc32be aead/gcm ec/ec_p256_m15 ec/ec_p256_m31 hash/ghash_ctmul \
        hash/ghash_ctmul32 hash/sha2small mac/hmac symcipher/aes_ct symcipher/aes_ct_ctr symcipher/aes_ct_enc; do
    cp "$bearssl/src/$name.c" "$folder/src"
done
