#!/bin/sh
# The table of instructions in README.md, in thousands: of images for Cortex-M in QEMU, and of a
# program for this machine in callgrind. `make instructions` builds them.
set -eu
cd "$(dirname "$0")"

# The code for a Cortex-M0+ runs on a Cortex-M3, which has all of its instructions.
board() {
    qemu-system-arm -M "$2" -nographic -monitor none -serial none -icount shift=0 \
        -semihosting-config enable=on,target=native -kernel "build/$1/costs.elf" | awk -v step="$3" '$1 == step {print $3}'
}

here() {
    valgrind --tool=callgrind --toggle-collect=measured --callgrind-out-file=/dev/null build/costs "$1" 2>&1 |
        awk '/Collected/ {print $4}'
}

echo '| | Cortex-M0+ | Cortex-M3 | Cortex-M4 | x86-64 |'
echo '|---|---|---|---|---|'
for step in login resumption message; do
    printf '%s %s %s %s %s\n' "$step" "$(board cortex-m0plus mps2-an385 "$step")" "$(board cortex-m3 mps2-an385 "$step")" \
        "$(board cortex-m4 mps2-an386 "$step")" "$(here "$step")" |
        awk '{printf "| %s", $1; for (i = 2; i <= NF; i++) printf " | %.0f", $i / 1000; print " |"}'
done
