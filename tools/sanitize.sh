#!/usr/bin/env bash
# Run tests on a library that was compiled with sanitizers, for the best instruction set of this machine alone.
#
#     tools/sanitize.sh address,undefined [pytest's arguments]
#     tools/sanitize.sh thread tests/test_threads.py
set -euo pipefail
cd "$(dirname "$0")/.."
kind=$1
shift
build=build/sanitize-${kind/,/-}
python=$PWD/.venv/bin/python

# GCC's sanitizers must be the first libraries in a process; Python was not linked with them.
preloaded=
for library in ${kind//,/ }; do
  case $library in
    address) preloaded+=" $(gcc -print-file-name=libasan.so)" ;;
    undefined) preloaded+=" $(gcc -print-file-name=libubsan.so)" ;;
    thread) preloaded+=" $(gcc -print-file-name=libtsan.so)" ;;
  esac
done

# A check of an address is a call: written out at each access they would take four times as long to compile.
cmake -S . -B "$build/native" -DCMAKE_BUILD_TYPE=None -DPython_EXECUTABLE="$python" \
  -DCMAKE_CXX_FLAGS="-O1 -g1 -fno-omit-frame-pointer -fsanitize=$kind -fno-sanitize-recover=undefined \
  --param asan-instrumentation-with-call-threshold=0" \
  -DRECTIFIED_OPTIMIZATION=-O1 -DRECTIFIED_INSTRUCTION_SETS="$("$python" -c 'from rectified import _native
print(_native.instruction_sets()[-1])')"
cmake --build "$build/native" --parallel "$(nproc)"

# The package beside its compiled part, in an environment that has the packages of .venv but not the library there.
mkdir -p "$build/packages"
rm -rf "$build/packages/rectified"
cp -r src/rectified "$build/packages/"
cp "$build"/native/_native*.so "$build/packages/rectified/"
test -d "$build/venv" || python3 -m venv --without-pip "$build/venv"
site=$("$build/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
printf '%s\n' "$PWD/$build/packages" "$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" > "$site/packages.pth"

export LD_PRELOAD=$preloaded ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS="halt_on_error=1 die_after_fork=0"
exec "$build/venv/bin/python" -m pytest -q -p no:cacheprovider "$@"
