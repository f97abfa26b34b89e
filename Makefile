# Each target installs what it needs. PYTHON is the interpreter for the virtual environment.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
# Time limits of whole runs, several times what they need. Each test has its own limit too.
WITHIN := timeout --foreground --kill-after=30
# Per cent of lines and branches of gateway/, certless/, vault/, issuing/ and session_crypto/. Measured 93.5 by all tests;
# what runs in other processes, such as workers, is not counted.
GATEWAY_COVERAGE := 93
# The browser client that the gateway serves.
BUNDLE := gateway/bundle/client.js

WITH_PYTHON := CERTLESS_PYTHON="$(CURDIR)/$(BIN)/python"

.PHONY: run test test-node test-browser test-firefox test-python check docs docs-options bench profile fuzz fuzz-c soak soak-c bundle package clean
.DELETE_ON_ERROR:

run: $(VENV)/.run $(BUNDLE)
	$(BIN)/python -m certless demo

# All of them together must be faster than the time limit of CI.
test: test-node test-browser test-firefox test-python

test-node: $(VENV)/.test client_js/node_modules/.ready .make/openssl
	cd client_js && $(WITH_PYTHON) $(WITHIN) 15m npm test --silent

test-browser: $(VENV)/.test $(BUNDLE) .make/chromium .make/php .make/dokuwiki .make/openssl
	cd client_js && $(WITH_PYTHON) $(WITHIN) 25m npm run test:browser --silent

test-firefox: $(VENV)/.test $(BUNDLE) .make/firefox
	cd client_js && $(WITH_PYTHON) $(WITHIN) 8m npm run test:firefox --silent

test-python: $(VENV)/.bench $(BUNDLE) \
		.make/redis .make/postgresql .make/deploy .make/php .make/dokuwiki .make/openssl .make/curl \
		.make/bearssl .make/machines .make/arduino .make/valgrind .make/cmake .make/wrk .make/chromium .make/gdb
	$(WITHIN) 10m $(MAKE) --silent -C client_c tests machines constant-time
	$(WITHIN) 35m $(PYTEST) -n 2 --dist worksteal --cov --cov-report=
	$(BIN)/coverage report --contexts='^$$|^protocol$$' --include='protocol/*' --fail-under=100
	$(BIN)/coverage report --contexts='^$$|^vault$$' --include='vault/core/*' --fail-under=100
	$(BIN)/coverage report --include='gateway/*,certless/*,vault/*,issuing/*,session_crypto/*' --fail-under=$(GATEWAY_COVERAGE)

check: $(VENV)/.test .make/bearssl .make/analyzers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(WITHIN) 5m $(BIN)/mypy
	$(WITHIN) 5m $(MAKE) --no-print-directory -C client_c check

# The tables of docs/options.md and docs/limits.md.
docs-options: $(VENV)/.test
	$(BIN)/python tests/support/make_option_tables.py

# The API reference, from the docstrings.
docs: $(VENV)/.docs
	$(BIN)/python docs/api_reference.py

# All parts, or some: make bench PARTS="proxy stores".
bench: $(VENV)/.bench $(BUNDLE) .make/wrk .make/redis .make/postgresql .make/deploy .make/chromium .make/bearssl
	$(WITHIN) 60m $(BIN)/python -m bench $(PARTS)

# Flame graphs of the message path, in build/profile.
profile: $(VENV)/.bench .make/wrk .make/deploy
	$(WITHIN) 5m $(BIN)/python -m bench.profile

fuzz: $(VENV)/.test client_js/node_modules/.ready
	cd client_js && CERTLESS_TABS_RUNS=10000 CERTLESS_TEST_MS=3600000 $(WITHIN) 2h node scripts/test.mjs test/tabs.test.js
	FUZZ=50 $(WITHIN) 4h $(PYTEST) tests/protocol/test_properties.py tests/protocol/test_hardened_properties.py tests/vault/core/test_vault_properties.py tests/vault/client/test_vault_states.py --timeout=3600

# FUZZ_RUNS inputs for each parser of the C client, or for one: make fuzz-c PARSER=answer. FUZZ_SECONDS limits the time
# of each. client_c/README.md has the figures.
FUZZ_RUNS ?= 10000000
fuzz-c: $(VENV)/.test .make/libfuzzer
	$(BIN)/python tests/support/make_c_corpus.py client_c/build/corpus
	$(WITHIN) 12h $(MAKE) --no-print-directory -C client_c fuzz FUZZ_RUNS=$(FUZZ_RUNS)

# The C client for 10,000 messages over a bad network, with power cuts. SOAK_MESSAGES changes the number.
soak-c: $(VENV)/.test $(BUNDLE) .make/bearssl
	$(WITHIN) 2h $(PYTEST) -s --no-cov tests/client_c/soak_gateway.py

# About 1,000 kills of the vault's client and 1,000 of its server, on SQLite and PostgreSQL: 84 of each change. Then 1,000
# kills of a client that changes files, and 1,000 of a server of blocks: 250 for each database and pool.
soak: $(VENV)/.test .make/postgresql
	VAULT_KILLS=84 $(WITHIN) 2h $(PYTEST) -s --no-cov --timeout=7200 tests/vault/test_kills.py
	FILE_KILLS=500 $(WITHIN) 3h $(PYTEST) -s --no-cov tests/vault/client/test_files_kills.py
	VAULT_KILLS=250 $(WITHIN) 2h $(PYTEST) -s --no-cov --timeout=7200 tests/vault/test_block_kills.py

bundle: $(BUNDLE)

# A source distribution, a wheel and a tarball for npm, in dist/.
package: $(VENV)/.test $(BUNDLE)
	$(BIN)/python -m build --outdir dist
	cd client_js && npm pack --silent --pack-destination ../dist

clean:
	rm -rf $(VENV) .make build dist client_c/build gateway/bundle

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Certless needs Python 3.11 or later: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(VENV)/bin/python setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[demo]'
	@touch $@

$(VENV)/.docs: $(VENV)/bin/python setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	@touch $@

$(VENV)/.test: $(VENV)/bin/python setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@

client_js/node_modules/.ready: client_js/package-lock.json
	@node --version >/dev/null || { echo "The browser client is built by Node.js 18.19 or later: install it"; exit 1; }
	cd client_js && npm ci --silent --no-audit --no-fund
	@touch $@

$(BUNDLE): client_js/node_modules/.ready client_js/package.json client_js/scripts/build.mjs client_js/scripts/licenses.mjs \
		$(shell find client_js/src -name '*.js')
	cd client_js && npm run build --silent
	@mkdir -p $(@D)
	cp client_js/dist/client.js client_js/dist/vault.js client_js/dist/issuing.js client_js/dist/LICENSES.txt $(@D)

.make/chromium:
	@command -v chromium >/dev/null || { apt-get update -qq && apt-get install -y -qq chromium; }
	@mkdir -p $(@D) && touch $@

.make/firefox:
	@command -v firefox-esr >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends firefox-esr; }
	@mkdir -p $(@D) && touch $@

.make/redis:
	@command -v redis-server >/dev/null || { apt-get update -qq && apt-get install -y -qq redis-server; }
	@mkdir -p $(@D) && touch $@

# The vault can use it. The tests start servers of their own, so the package starts none.
.make/postgresql:
	@ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || { apt-get update -qq && \
	  apt-get install -y -qq --no-install-recommends postgresql-common && \
	  sed -i 's/^#\?create_main_cluster.*/create_main_cluster = false/' \
	    /etc/postgresql-common/createcluster.conf && \
	  apt-get install -y -qq --no-install-recommends postgresql; }
	@mkdir -p $(@D) && touch $@

# The programs that the files of deploy/ configure.
.make/deploy:
	@{ command -v nginx && command -v haproxy && command -v systemd-analyze; } >/dev/null || \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends nginx-light haproxy systemd; }
	@mkdir -p $(@D) && touch $@

# An example keeps its key there.
.make/openssl:
	@command -v openssl >/dev/null || \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends openssl; }
	@mkdir -p $(@D) && touch $@

# One upstream of the tests is in PHP.
.make/php:
	@command -v php >/dev/null || \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends php-cli; }
	@mkdir -p $(@D) && touch $@

# A real wiki for the tests. php-cgi, because the package needs some PHP besides php-cli.
.make/dokuwiki: .make/php
	@test -e /usr/share/dokuwiki/doku.php || { apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends dokuwiki php-cgi; }
	@mkdir -p $(@D) && touch $@

# Compilers (C++ for a sketch), and the cryptography of the C client.
.make/bearssl:
	@{ command -v gcc && command -v g++ && test -e /usr/include/bearssl.h; } >/dev/null || { apt-get update -qq && \
	  apt-get install -y -qq --no-install-recommends gcc g++ libc6-dev libbearssl-dev; }
	@mkdir -p $(@D) && touch $@

# Other machines for the C client: compilers, an emulator, and the sources of BearSSL.
.make/machines: .make/bearssl
	@{ command -v qemu-arm && command -v arm-linux-gnueabihf-gcc && command -v s390x-linux-gnu-gcc && \
	   command -v qemu-system-arm && command -v arm-none-eabi-gcc && command -v qemu-system-riscv32 && \
	   command -v riscv64-unknown-elf-gcc && test -d /usr/lib/picolibc/riscv64-unknown-elf; } >/dev/null || \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends qemu-user qemu-system-arm \
	    gcc-arm-linux-gnueabihf libc6-dev-armhf-cross gcc-s390x-linux-gnu libc6-dev-s390x-cross \
	    gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-misc gcc-riscv64-unknown-elf \
	    picolibc-riscv64-unknown-elf; }
	$(MAKE) --silent -C client_c sources
	@mkdir -p $(@D) && touch $@

# The tool of Arduino, and its core for AVR.
.make/arduino:
	@{ command -v arduino-builder && command -v avr-gcc && test -d /usr/share/arduino/hardware/arduino/avr; } >/dev/null || \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends \
	    arduino-builder arduino-core-avr gcc-avr avr-libc; }
	@mkdir -p $(@D) && touch $@

.make/cmake:
	@{ command -v cmake && command -v pkg-config; } >/dev/null || \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends cmake pkg-config; }
	@mkdir -p $(@D) && touch $@

.make/valgrind:
	@command -v valgrind >/dev/null || \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends valgrind; }
	@mkdir -p $(@D) && touch $@

# It writes core dumps of the vault's server.
.make/gdb:
	@command -v gcore >/dev/null || \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends gdb; }
	@mkdir -p $(@D) && touch $@

.make/libfuzzer:
	@command -v clang >/dev/null && echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' | \
	  clang -x c -fsanitize=fuzzer - -o /dev/null 2>/dev/null || \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends clang libclang-rt-dev; }
	@mkdir -p $(@D) && touch $@

.make/analyzers:
	@{ command -v cppcheck && command -v clang-tidy; } >/dev/null || \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends cppcheck clang-tidy; }
	@mkdir -p $(@D) && touch $@

.make/curl:
	@command -v curl >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends curl; }
	@mkdir -p $(@D) && touch $@

$(VENV)/.bench: $(VENV)/.test
	$(BIN)/python -m pip install --quiet --editable '.[test,bench]'
	@touch $@

.make/wrk:
	@command -v wrk >/dev/null || { apt-get update -qq && apt-get install -y -qq wrk; }
	@mkdir -p $(@D) && touch $@
