// How the numbers of an array are stored.
#pragma once

#include "blocks.hpp"
#include "element.hpp"

namespace rectified::RECTIFIED_TARGET {

// Numbers of type C side by side, from and to an array that may store them as another type and far apart. What is read or
// written side by side may be up to a batch longer.
template <class C>
struct storage {
    npy_intp size;
    bool converts;
    void (*read)(const char *from, npy_intp step, npy_intp count, C *to);
    void (*write)(const C *from, npy_intp count, char *to, npy_intp step);
};

template <class S, class C>
struct stored_as {
    using B = batch<C, 1>;

    static void read(const char *from, npy_intp step, npy_intp count, C *to) {
        if constexpr (std::is_same_v<S, C>) {
            gather(from, step, count, to);
        } else {
            const S *const beside = reinterpret_cast<const S *>(from);
            S some[block + B::lanes] = {};
            npy_intp k = 0;
            if (step == sizeof(S))
                for (; k + B::lanes <= count; k += B::lanes) {
                    __builtin_prefetch(beside + k + count);  // the next row, or the next part of one
                    store(to + k, load<B>(beside + k));
                }
            for (; k < count; k += block) {
                const npy_intp few = count - k < block ? count - k : block;
                gather(from + k * step, step, few, some);
                for (npy_intp j = 0; j < few; j += B::lanes) store(to + k + j, load<B>(some + j));
            }
        }
    }

    static void write(const C *from, npy_intp count, char *to, npy_intp step) {
        if constexpr (std::is_same_v<S, C>) {
            scatter(from, count, to, step);
        } else {
            S *const beside = reinterpret_cast<S *>(to);
            S some[block + B::lanes];
            npy_intp k = 0;
            if (step == sizeof(S))
                for (; k + B::lanes <= count; k += B::lanes) {
                    __builtin_prefetch(beside + k + count, 1);
                    store(beside + k, load<B>(from + k));
                }
            for (; k < count; k += block) {
                const npy_intp few = count - k < block ? count - k : block;
                for (npy_intp j = 0; j < few; j += B::lanes) store(some + j, load<B>(from + k + j));
                scatter(some, few, to + k * step, step);
            }
        }
    }

    static constexpr storage<C> way = {sizeof(S), !std::is_same_v<S, C>, read, write};
};

}  // namespace rectified::RECTIFIED_TARGET
