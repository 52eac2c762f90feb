#include "memory.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace rectified {
namespace {

// More of a last cache belongs to no one process: others use it, on other machines, too, where this one is virtual.
constexpr npy_intp most = 64 << 20;

// The last cache of the first processor. sysconf counts those of processors that share none with it, so Linux is asked
// first.
npy_intp last_cache() {
    if (std::FILE *const file = std::fopen("/sys/devices/system/cpu/cpu0/cache/index3/size", "r")) {
        long kibibytes = 0;
        const int found = std::fscanf(file, "%ldK", &kibibytes);
        std::fclose(file);
        if (found == 1 && kibibytes > 0) return kibibytes << 10;
    }
#if defined(_SC_LEVEL3_CACHE_SIZE)
    if (const long bytes = sysconf(_SC_LEVEL3_CACHE_SIZE); bytes > 0) return bytes;
#endif
    return 32 << 20;
}

}  // namespace

const npy_intp memory::streaming_bytes = std::min(last_cache(), most);

}  // namespace rectified
