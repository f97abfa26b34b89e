#!/bin/sh
# The table of sizes in README.md: size.sh FOLDER, where FOLDER has the sources of BearSSL.
# For each processor it links a program that uses the whole client, without a C library, and drops
# what is not used.
set -eu
cd "$(dirname "$0")"
bearssl=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
core=$(ls src/*.c | grep -v -e posix -e http -e transfer)

measure() {
    name=$1
    tools=$2
    shift 2
    folder=$work/$name
    mkdir -p "$folder/core" "$folder/bearssl"
    flags="-std=c99 -Os -ffunction-sections -fdata-sections $*"
    printf '%s\n' '#include "certless.h"' 'certless_client client;' \
        'void *const uses[] = {(void *)certless_init, (void *)certless_load, (void *)certless_begin_login,' \
        '(void *)certless_receive_hello, (void *)certless_enter_code, (void *)certless_begin_resumption,' \
        '(void *)certless_receive_share, (void *)certless_receive_confirmation, (void *)certless_seal,' \
        '(void *)certless_open, (void *)certless_next_header, (void *)certless_error_text, (void *)certless_route,' \
        '(void *)certless_seal_for_stream, (void *)certless_seal_upload, (void *)certless_open_stream,' \
        '(void *)certless_await_response, (void *)certless_stream_route, (void *)certless_salt_stream,' \
        '(void *)certless_max_data, (void *)certless_send_data, (void *)certless_send_ping,' \
        '(void *)certless_send_end, (void *)certless_record_length, (void *)certless_receive_record,' \
        '(void *)certless_end_stream, (void *)certless_wipe, (void *)certless_has_ticket, (void *)certless_has_session,' \
        '(void *)certless_after_resumption, (void *)certless_after_message};' > "$folder/uses.c"
    for file in $core; do
        "${tools}gcc" $flags -Iinclude -I"$bearssl/inc" -c "$file" -o "$folder/core/$(basename "$file" .c).o"
    done
    find "$bearssl/src" -name '*.c' | grep -v -e /ssl/ -e /x509/ -e /rsa/ -e /rand/ | while read -r file; do
        "${tools}gcc" $flags -w -I"$bearssl/inc" -I"$bearssl/src" -c "$file" -o "$folder/bearssl/$(basename "$file" .c).o"
    done
    "${tools}gcc" $flags -Iinclude -c "$folder/uses.c" -o "$folder/uses.o"
    "${tools}ar" rcs "$folder/libbearssl.a" "$folder"/bearssl/*.o
    "${tools}gcc" $flags -nostdlib -r -Wl,--gc-sections -Wl,-e,uses -Wl,-u,uses -Wl,-u,client \
        "$folder/uses.o" "$folder"/core/*.o "$folder/libbearssl.a" -o "$folder/all.o" 2>"$folder/log" || cat "$folder/log"
    rm "$folder/core/certless_bearssl.o"
    own=$("${tools}size" "$folder"/core/*.o | awk 'NR > 1 {sum += $1} END {print sum}')
    all=$("${tools}size" "$folder/all.o" | awk 'NR > 1 {print $1}')
    ram=$("${tools}nm" -S "$folder/uses.o" | awk '$4 == "client" {print $2}')
    printf '| %s | %d | %d | %d | %d |\n' "$name" "$own" "$((all - own))" "$all" "0x$ram"
}

echo '| processor | Certless | BearSSL | together | RAM of a client |'
echo '|---|---|---|---|---|'
measure Cortex-M0+ arm-none-eabi- -mcpu=cortex-m0plus -mthumb -DCERTLESS_SMALL_MULTIPLIER
measure Cortex-M3 arm-none-eabi- -mcpu=cortex-m3 -mthumb -DCERTLESS_SMALL_MULTIPLIER
measure Cortex-M4 arm-none-eabi- -mcpu=cortex-m4 -mthumb
measure 'RISC-V 32 (rv32imac)' riscv64-unknown-elf- -march=rv32imac -mabi=ilp32 -isystem /usr/lib/picolibc/riscv64-unknown-elf/include
measure x86-64 '' -fno-asynchronous-unwind-tables -fno-stack-protector
