// The threads of another library's OpenMP. They wait beside the one that calls, and have in their caches what they
// computed.
#pragma once

#include <type_traits>

#if defined(__unix__) || defined(__APPLE__)
#include <dlfcn.h>
#define RECTIFIED_LOOKS_UP 1
#endif

namespace rectified {

// GNU's interface, which LLVM's and Intel's runtimes on Linux have as well.
struct openmp {
    void (*parallel)(void (*body)(void *), void *context, unsigned threads, unsigned flags);
    int (*most)(), (*number)(), (*count)();

    // What a library uses, which one of its functions tells; null pointers where it has none.
    static openmp of(void *function) {
        openmp found{};
#if defined(RECTIFIED_LOOKS_UP)
        Dl_info place;
        void *const library = dladdr(function, &place) ? dlopen(place.dli_fname, RTLD_LAZY | RTLD_NOLOAD) : nullptr;
        if (!library) return found;
        const auto look_up = [&](const char *name, auto &address) {
            address = reinterpret_cast<std::remove_reference_t<decltype(address)>>(dlsym(library, name));
            return address != nullptr;
        };
        if (!(look_up("GOMP_parallel", found.parallel) && look_up("omp_get_max_threads", found.most) &&
              look_up("omp_get_thread_num", found.number) && look_up("omp_get_num_threads", found.count)))
            found = {};
        dlclose(library);  // which is loaded as often as before
#endif
        return found;
    }

    explicit operator bool() const { return parallel; }

    // body(part, parts) in up to so many threads.
    template <class Body>
    void run(int threads, const Body &body) const {
        struct {
            const openmp &self;
            const Body &body;
        } context{*this, body};
        using context_t = decltype(context);
        parallel(
            [](void *address) {
                const auto &[self, body] = *static_cast<const context_t *>(address);
                body(self.number(), self.count());
            },
            &context, static_cast<unsigned>(threads), 0);
    }
};

}  // namespace rectified
