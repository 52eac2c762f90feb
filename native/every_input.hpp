// What an operation gives for each number of a short type, of which there are 65,536.
//
// Looking a result up takes less time than computing it, and hardly more than its memory does: of a table the cache holds
// what the numbers at hand ask for, a few kilobytes.
#pragma once

#include <numpy/npy_common.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#include "registry.hpp"

namespace rectified {

// Entries of some size follow it.
struct alignas(64) table {
    static constexpr npy_intp entries = 1 << 16, most_parameters = 4;

    const table *next;
    std::uint16_t parameters[most_parameters];  // their bits

    template <class E>
    const E *as() const {
        return reinterpret_cast<const E *>(this + 1);
    }
};

// The tables of an operation, for the first few parameters that many numbers came with. One that is made stays, for other
// threads may read it.
class tables {
  public:
    const table *find(const std::uint16_t *parameters) const {
        const table *each = first_.load(std::memory_order_acquire);
        while (each && std::memcmp(each->parameters, parameters, sizeof(each->parameters))) each = each->next;
        return each;
    }

    // Whether, with so many more numbers, as many were computed as a table has. Then making it takes no longer than they
    // did.
    bool are_due(npy_intp count) {
        if (made_.load(std::memory_order_relaxed) >= most) return false;
        if (computed_.fetch_add(count, std::memory_order_relaxed) + count < table::entries) return false;
        computed_.store(0, std::memory_order_relaxed);
        return made_.fetch_add(1, std::memory_order_relaxed) < most;
    }

    // What `fill` writes, to a place aligned to registers and with room for one more at its end. Null where there is no
    // memory.
    template <class E, class F>
    const table *make(const std::uint16_t *parameters, F fill) {
        void *const room = std::aligned_alloc(64, sizeof(table) + table::entries * sizeof(E) + 64);
        if (!room) return nullptr;
        table *const made = new (room) table{first_.load(std::memory_order_relaxed), {}};
        std::memcpy(made->parameters, parameters, sizeof(made->parameters));
        E *const entries = reinterpret_cast<E *>(made + 1);
        fill(entries);
        std::memset(entries + table::entries, 0, 64);
        while (!first_.compare_exchange_weak(made->next, made, std::memory_order_release)) continue;
        return made;
    }

  private:
    static constexpr int most = 4;

    std::atomic<const table *> first_{};
    std::atomic<npy_intp> computed_{};
    std::atomic<int> made_{};
};

// How an operation on one array of a short type is computed, or a backward pass, and in float64; and its tables.
struct tabulated_work {
    typed_loop computed, in_float64;
    int parameters;
    tables *kept;
};

}  // namespace rectified

namespace rectified::RECTIFIED_TARGET {

// An operation on one array: its results are looked up. What NumPy hands through is a tabulated_work.
template <class S>
void result_of_table(char **args, const npy_intp *dimensions, const npy_intp *steps, void *work);

// A backward pass: the slopes are looked up, in float32. Where that leaves open how a product is rounded, it is computed.
template <class S>
void product_with_table(char **args, const npy_intp *dimensions, const npy_intp *steps, void *work);

}  // namespace rectified::RECTIFIED_TARGET
