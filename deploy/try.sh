#!/bin/sh
# Tries compose.yaml once: build the image, start, log in through nginx, send a message, stop. With
# Docker, or with Podman:
#
#   sh deploy/try.sh
#   COMPOSE=podman-compose sh deploy/try.sh
#
# Port 8080 and the network of compose.yaml must be free. The project has its own name, so this script
# does not stop a running deployment.
set -eu
cd "$(dirname "$0")"
folder=$(mktemp -d)
made_keys=

compose() {
    ${COMPOSE:-docker compose} -p certless-try "$@"
}

in_gateway_b() {
    compose exec -T gateway-b "$@"
}

finish() {
    status=$?
    trap - EXIT
    [ "$status" = 0 ] || compose logs || true
    compose down || true
    [ -z "$made_keys" ] || rm -f keys.env
    rm -r "$folder"
    exit "$status"
}
trap finish EXIT
trap 'exit 1' INT TERM

if [ ! -e keys.env ]; then
    made_keys=yes
    (umask 077; echo "CERTLESS_KEYS=$(head -c 32 /dev/urandom | base64)" > keys.env)
fi
compose up -d --build

# `up` waits for health checks only with newer engines.
tries=60
until in_gateway_b python -c "import urllib.request as u; u.urlopen('http://nginx/', timeout=3)" 2> "$folder/why"; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || { cat "$folder/why"; echo "nothing answers through nginx"; exit 1; }
    sleep 1
done
in_gateway_b certless doctor --config /etc/certless/gateway.toml || true

# Without a mail server in gateway.toml, the gateway that handled the login prints the code to its log.
mkfifo "$folder/code"
in_gateway_b certless request --login ann --config /etc/certless/gateway.toml --include \
    POST http://nginx/orders --data '{"tea": 1}' < "$folder/code" > "$folder/answer" &
asked=$!
exec 3> "$folder/code"
tries=30
code=
while [ -z "$code" ] && [ "$tries" -gt 0 ]; do
    tries=$((tries - 1))
    sleep 1
    # It is on its own line after the name of the gateway; some engines use colours.
    code=$(compose logs gateway-a gateway-b 2>&1 | tr -d '\033' |
        sed -n 's/\[[0-9;]*m//g; s/^.*[ |]\([0-9A-Z]\{8\}\)$/\1/p' | tail -n 1)
done
[ -n "$code" ] || { echo "the logs of the gateways contain no code"; exit 1; }
echo "$code" >&3
exec 3>&-
wait "$asked" || { cat "$folder/answer"; exit 1; }
cat "$folder/answer"
grep -q '^X-Certless-User: ann' "$folder/answer"
echo "ann logged in: the image, both networks and all five services work"
