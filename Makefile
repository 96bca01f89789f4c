# Patchbay. `make demo` and `make test` do all the set-up themselves on Debian 12 with Swift 6.2 or newer.

SWIFT ?= swift
JOBS ?= 2
SECONDS ?= 60
PYTHON ?= python3
VENV := .venv
BUILD := .build
PACKAGES := libssl-dev libopus-dev libogg-dev libsamplerate0-dev libsqlite3-dev pkg-config espeak-ng openssl python3 python3-venv sox libspandsp2 libwebrtc-audio-processing1 libspeexdsp1 libsoxr0 opus-tools nginx-light
SOURCES := Package.swift Sources Tests Benchmarks/Frames Examples Fuzz/Package.swift Fuzz/Sources/PatchbayFuzz

.PHONY: help demo test unit example interop bench fuzz format lint setup venv clean

help:
	@echo "make demo     a whole call with no account: prints the timeline, writes demo.wav"
	@echo "make test     everything that is checked: unit tests, documents, official clients"
	@echo "make bench    the benchmarks, in release mode"
	@echo "make fuzz     the readers of documents under libFuzzer, for SECONDS=60"
	@echo "make format   swift format, in place"
	@echo "make lint     swift format, as a check, and every pipeline file"

setup:
	@missing=""; for p in $(PACKAGES); do \
	  dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'install ok installed' || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then \
	  echo "installing:$$missing"; \
	  sudo=""; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  $$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq $$missing; \
	fi

demo: setup
	@echo "building (the first build takes a few minutes)"
	@$(SWIFT) build -j $(JOBS) --product patchbay
	@$(BUILD)/debug/patchbay demo

$(VENV)/.ready: Tests/Interop/requirements.txt
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check -r Tests/Interop/requirements.txt
	@touch $@

venv: setup $(VENV)/.ready

# All at once, a thousand tests take each other's time, and those with sockets miss theirs.
unit: setup
	$(SWIFT) build -j $(JOBS) --build-tests
	SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=6 $(SWIFT) test --skip-build

EXAMPLES := Concierge FrontDesk

# Each example is another package. It shares what was built here, and leaves no plan of its own behind.
example: unit
	set -e; for example in $(EXAMPLES); do \
	  rm -f $(BUILD)/debug/description.json; \
	  $(SWIFT) build -j $(JOBS) --package-path Examples/$$example --scratch-path $(BUILD) --build-tests; \
	  $(SWIFT) test --package-path Examples/$$example --scratch-path $(BUILD) --skip-build; \
	  done
	rm -f $(BUILD)/debug/description.json

interop: example venv
	PATCHBAY_BINARY=$(BUILD)/debug/patchbay $(VENV)/bin/python -m pytest -q Tests/Interop

test: unit interop
	$(BUILD)/debug/patchbay lint --no-environment Pipelines README.md Sources/Patchbay/Patchbay.docc
	set -e; for folder in Pipelines/*/server.json; do \
	  $(BUILD)/debug/patchbay lint --no-environment $$(dirname $$folder); done
	$(BUILD)/debug/patchbay test Pipelines
	$(PYTHON) Sources/PatchbayAudio/Resampling/design.py --check >/dev/null

bench: setup
	$(SWIFT) build -j $(JOBS) -c release --product patchbay
	$(SWIFT) build -j $(JOBS) -c release --product PatchbayFrames
	$(MAKE) -s -C Benchmarks/Allocations check
	LD_PRELOAD=$(CURDIR)/Benchmarks/Allocations/build/libpatchbay-allocations.so $(BUILD)/release/PatchbayFrames
	$(BUILD)/release/patchbay bench --with-audioop --compare Benchmarks/Audio/baseline.json
	$(PYTHON) Benchmarks/Load/run.py

fuzz: setup
	JOBS=$(JOBS) $(PYTHON) Fuzz/run.py $(SECONDS)

format:
	$(SWIFT) format --in-place --recursive --parallel $(SOURCES)

lint: setup
	$(SWIFT) format lint --strict --recursive --parallel $(SOURCES)
	$(SWIFT) build -j $(JOBS) --product patchbay
	$(BUILD)/debug/patchbay lint --no-environment Pipelines README.md Sources/Patchbay/Patchbay.docc

clean:
	rm -rf $(BUILD) $(VENV) demo.wav
