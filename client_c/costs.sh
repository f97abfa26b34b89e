#!/bin/sh
# The table of code, memory and instructions in README.md. `make costs` builds what it measures.
# Cortex-M and RISC-V run in QEMU, which counts one tick of its clock for each instruction (-icount).
# The processor that runs it all measures the stack of x86-64; callgrind counts its instructions.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
steps='login resumption confirmation message'

emulated() {
    "qemu-system-$1" -M "$2" -nographic -monitor none -serial none -icount shift=0 $3 \
        -semihosting-config enable=on,target=native -kernel "$4"
}

callgrind() {
    valgrind --tool=callgrind --toggle-collect=measured --callgrind-out-file=/dev/null "$1" "$2" 2>&1 |
        awk '/Collected/ {print $4}'
}

# Lines "step bytes instructions".
run() {
    image=build/$1/costs.elf
    case $1 in
        cortex-m0plus) emulated arm microbit '' "$image" ;;
        cortex-m3) emulated arm mps2-an385 '' "$image" ;;
        cortex-m4) emulated arm mps2-an386 '' "$image" ;;
        riscv32) emulated riscv32 virt '-bios none' "$image" 2>&1 ;; # here QEMU prints on its own stderr
        x86-64)
            "$image" | while read -r step bytes _; do
                [ "$step" = client ] && count=0 || count=$(callgrind "$image" "$step")
                echo "$step $bytes $count"
            done
            ;;
    esac
}

# One column, a line for each row of the table.
column() {
    tools=$2
    core=$(ls "build/$1"/certless_*.o | grep -v -e posix -e http -e transfer -e bearssl)
    own=$("${tools}size" $core | awk 'NR > 1 {sum += $1} END {print sum}')
    all=$("${tools}size" "build/$1/linked.o" | awk 'NR > 1 {print $1}')
    printf '%s\n' "$own" "$((all - own))" "$all"
    run "$1" > "$work/run"
    awk '$1 == "client" {print $2}' "$work/run"
    for step in $steps; do
        awk -v step="$step" '$1 == step {print $2}' "$work/run"
    done
    for step in login resumption message; do
        awk -v step="$step" '$1 == step {printf "%.0f\n", $3 / 1000}' "$work/run"
    done
}

printf '%s\n' 'code of Certless, bytes' 'code of BearSSL, bytes' 'code together, bytes' \
    'RAM of a client, bytes' > "$work/rows"
for step in $steps; do echo "stack of a $step, bytes" >> "$work/rows"; done
for step in login resumption message; do echo "instructions of a $step, thousands" >> "$work/rows"; done
column cortex-m0plus arm-none-eabi- > "$work/1"
column cortex-m3 arm-none-eabi- > "$work/2"
column cortex-m4 arm-none-eabi- > "$work/3"
column riscv32 riscv64-unknown-elf- > "$work/4"
column x86-64 '' > "$work/5"
echo '| | Cortex-M0+ | Cortex-M3 | Cortex-M4 | RISC-V 32 (rv32imac) | x86-64 |'
echo '|---|--:|--:|--:|--:|--:|'
paste -d '|' "$work/rows" "$work"/[1-5] | sed -e 's/|/ | /g' -e 's/^/| /' -e 's/$/ |/'
