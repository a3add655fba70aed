# libernie: `make demo` runs the main job, `make test` runs all tests. Everything that a fresh machine lacks is put
# into build/, which needs Rust, a C++ compiler, make and python3; the second time nothing is fetched.

BUILD := build
RUNTIME := $(BUILD)/runtime
TOOLS := $(BUILD)/tools
STAGE := $(CURDIR)/$(BUILD)/stage
PREFIX ?= $(STAGE)
# A cmake that is there is used; otherwise one is fetched. clang-format is always the pinned one.
CMAKE := $(or $(shell command -v cmake),$(CURDIR)/$(TOOLS)/cmake/bin/cmake)
CTEST := $(or $(shell command -v ctest),$(CURDIR)/$(TOOLS)/cmake/bin/ctest)
CLANG_FORMAT := $(CURDIR)/$(TOOLS)/clang-format/bin/clang-format

CXX_SOURCES = include/ernie.hpp $(wildcard cpp-examples/*.c cpp-examples/*.cpp tests/consumers/*.c tests/consumers/*.cpp tests/consumers/*.h)

# Programs must find the library by their own means.
unexport LD_LIBRARY_PATH

.PHONY: help demo test lint fmt header runtime tools stage install examples consumers bench bench-calls bench-generate runtime-gpu runtime-openvino gpu-pack gpu-check fixtures clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

demo: examples ## build, install to build/stage, and classify real reviews through C++
	$(BUILD)/examples/sentiment models/demo
	printf '%s\n' '早餐太差了，再也不会来' '物流很快，书的质量很好' | $(BUILD)/examples/sentiment models/demo -
	$(BUILD)/examples/quick_tour models/demo
	$(BUILD)/examples/windows models/demo

test: runtime stage ## all tests: Rust, then C99 and C++17 programs through CTest
	cargo test --locked --features test-hooks
	$(MAKE) consumers

lint: $(CLANG_FORMAT) ## formatting, clippy, rustdoc and clang-format, warnings are errors
	cargo fmt --check
	cargo clippy --locked --all-targets --features test-hooks -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --lib
	$(CLANG_FORMAT) --dry-run --Werror $(CXX_SOURCES)

fmt: $(CLANG_FORMAT) ## format all sources
	cargo fmt
	$(CLANG_FORMAT) -i $(CXX_SOURCES)

header: ## write include/ernie.h from the source
	ERNIE_BLESS=1 cargo test --locked --test header

runtime: $(RUNTIME)/libonnxruntime.so.1 ## fetch ONNX Runtime 1.28.0 into build/runtime

$(RUNTIME)/libonnxruntime.so.1: scripts/fetch_runtime.sh
	scripts/fetch_runtime.sh $(RUNTIME)
	@touch $@

runtime-gpu: $(BUILD)/runtime-gpu/libonnxruntime.so.1 ## fetch ONNX Runtime with CUDA and TensorRT into build/runtime-gpu (250 MB)

runtime-openvino: $(BUILD)/runtime-openvino/libonnxruntime.so.1 ## fetch ONNX Runtime with OpenVINO into build/runtime-openvino (85 MB)

$(BUILD)/runtime-%/libonnxruntime.so.1: scripts/fetch_runtime.sh
	scripts/fetch_runtime.sh $(@D) $*
	@touch $@

tools: $(CMAKE) $(CLANG_FORMAT) ## fetch cmake, where there is none, and clang-format into build/tools

$(CURDIR)/$(TOOLS)/cmake/bin/cmake $(CURDIR)/$(TOOLS)/clang-format/bin/clang-format:
	scripts/fetch_tool.sh $(notdir $@) $(TOOLS)

stage: runtime $(CMAKE) ## build the release library and install it to build/stage
	$(CMAKE) -S . -B $(BUILD)/cmake -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX=$(STAGE) -DCMAKE_INSTALL_LIBDIR=lib > /dev/null
	$(CMAKE) --build $(BUILD)/cmake
	$(CMAKE) --install $(BUILD)/cmake > /dev/null

install: runtime $(CMAKE) ## build and install to PREFIX
	$(CMAKE) -S . -B $(BUILD)/cmake-install -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX=$(PREFIX)
	$(CMAKE) --build $(BUILD)/cmake-install
	$(CMAKE) --install $(BUILD)/cmake-install

examples: stage
	$(CMAKE) -S cpp-examples -B $(BUILD)/examples -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH=$(STAGE) > /dev/null
	$(CMAKE) --build $(BUILD)/examples

consumers: stage
	cargo build --locked --lib --features test-hooks
	$(CMAKE) -S tests/consumers -B $(BUILD)/consumers -DCMAKE_BUILD_TYPE=Debug -DCMAKE_PREFIX_PATH=$(STAGE) > /dev/null
	$(CMAKE) --build $(BUILD)/consumers -j2
	cd $(BUILD)/consumers && PATH="$$PATH:$(dir $(CMAKE))" $(CTEST) --output-on-failure

bench: stage ## measure beside ONNX Runtime, OpenVINO, CTranslate2, Paddle and PyTorch, which are fetched (9 GB)
	python3 benches/peers/run.py $(BENCH_FLAGS)

bench-calls: runtime $(BUILD)/python/bin/python ## measure single calls, opening, precisions, callers, and the tokenizers
	for b in call_overhead open_model precisions concurrency tokenizers; do cargo bench --locked --bench $$b || exit 1; done

bench-generate: runtime $(BUILD)/paddle/bin/python ## measure generation beside Paddle, which is fetched (200 MB)
	cargo bench --locked --bench generate

gpu-pack: stage runtime-gpu ## put all that gpu-check needs into build/gpu-pack, in pieces of 60 MB at most
	python3 scripts/gpu_pack.py --library $(STAGE)/lib/libernie.so --runtime $(BUILD)/runtime-gpu $(BUILD)/gpu-pack

gpu-check: ## check and measure a GPU with what gpu-pack packed, or with build/stage and build/runtime-gpu
	python3 scripts/gpu_check.py $(GPU_CHECK_FLAGS)

# What benchmarks compare with.
$(BUILD)/paddle/bin/python:
	python3 -m venv $(BUILD)/paddle
	$(BUILD)/paddle/bin/pip install --quiet paddlepaddle==2.6.2 'numpy<2' setuptools

$(BUILD)/python/bin/python:
	python3 -m venv $(BUILD)/python
	$(BUILD)/python/bin/pip install --quiet jieba==0.42.1 sentencepiece==0.2.3

fixtures: ## make tests/fixtures again (needs python3 with numpy, onnx, jieba and sentencepiece)
	python3 scripts/make_fixtures.py tests/fixtures
	python3 scripts/make_checkpoints.py tests/fixtures/checkpoints
	python3 scripts/make_tokenizers.py tests/fixtures/tokenizers

clean: ## remove everything that was built or fetched
	rm -rf $(BUILD) target
