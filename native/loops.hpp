// From an operation to the loop that NumPy calls: any strides, any overlap, any length.
//
// Every element goes through the same batch operations, the last few in a batch that is not full. So a result has the same
// bits whatever the length, the strides, the alignment and the place in the array.
#pragma once

#include <numpy/npy_common.h>

#include "element.hpp"
#include "environment.hpp"
#include "operations.hpp"
#include "threads.hpp"

namespace rectified::RECTIFIED_TARGET {

// Half precision is computed in float32 where that is exact, in float64 elsewhere: rounding the result once more is then
// correct rounding.
template <class F, class S>
struct computed_in {
    using type = S;
};
template <class F>
struct computed_in<F, half> {
    using type = std::conditional_t<requires { F::piecewise_linear; }, float, double>;
};

template <class Op, class B, int... I>
RECTIFIED_INLINE B apply(const B *in, std::integer_sequence<int, I...>) {
    return Op::of(in[I]...);
}

template <class Op, class S>
class loop {
  public:
    static constexpr int inputs = Op::inputs;

    static void run(char **args, const npy_intp *dimensions, const npy_intp *steps, void *streaming_bytes) {
        const default_environment environment;
        const npy_intp count = dimensions[0];
        if (depends_on_order(args, steps, count)) {
            for (npy_intp i = 0; i < count; ++i) strided(args, steps, i, i + 1);
        } else if (is_contiguous(steps)) {
            const bool stream = past_caches(args, count, *static_cast<const npy_intp *>(streaming_bytes));
            in_parallel(count, grain, [=](npy_intp begin, npy_intp end) { contiguous(args, steps, begin, end, stream); });
        } else {
            in_parallel(count, grain, [=](npy_intp begin, npy_intp end) { strided(args, steps, begin, end); });
        }
    }

  private:
    using C = typename computed_in<typename Op::function, S>::type;
    using wide = batch<C, registers_at_once>;
    using narrow = batch<C, 1>;
    static constexpr npy_intp grain = 65536;

    // A fold such as accumulate reads what it wrote: an output that moves over an input, or does not move at all.
    static bool depends_on_order(char **args, const npy_intp *steps, npy_intp count) {
        const auto first = [&](int i) { return args[i] + (steps[i] < 0 ? steps[i] * (count - 1) : 0); };
        const auto last = [&](int i) { return args[i] + (steps[i] < 0 ? 0 : steps[i] * (count - 1)) + sizeof(S); };
        if (count < 2) return false;
        if (steps[inputs] == 0) return true;
        for (int i = 0; i < inputs; ++i)
            if (first(i) < last(inputs) && first(inputs) < last(i) &&
                (args[i] != args[inputs] || steps[i] != steps[inputs]))
                return true;
        return false;
    }

    static bool is_contiguous(const npy_intp *steps) {
        bool yes = steps[inputs] == sizeof(S);
        for (int i = 0; i < inputs; ++i) yes = yes && steps[i] == (i < Op::data ? npy_intp(sizeof(S)) : 0);
        return yes;
    }

    static bool past_caches(char **args, npy_intp count, npy_intp streaming_bytes) {
        for (int i = 0; i < Op::data; ++i)
            if (args[i] == args[inputs]) return false;  // in place: the line is in the cache already
        return count * npy_intp(sizeof(S)) * (Op::data + 1) >= streaming_bytes &&
               reinterpret_cast<npy_uintp>(args[inputs]) % sizeof(S) == 0;
    }

    static void contiguous(char **args, const npy_intp *steps, npy_intp begin, npy_intp end, bool stream) {
        const S *in[inputs];
        wide operand[inputs];
        for (int k = 0; k < inputs; ++k) {
            in[k] = reinterpret_cast<const S *>(args[k]);
            if (k >= Op::data) operand[k] = wide(static_cast<C>(read(args[k])));
        }
        S *const out = reinterpret_cast<S *>(args[inputs]);
        npy_intp i = begin;
        if (stream) {
            const npy_intp past = reinterpret_cast<npy_uintp>(out + begin) % register_bytes;
            i = begin + (past ? (register_bytes - past) / npy_intp(sizeof(S)) : 0);
            if (i > end) i = end;
            strided(args, steps, begin, i);
        }
        for (; i + wide::lanes <= end; i += wide::lanes) {
            for (int k = 0; k < Op::data; ++k) operand[k] = load<wide>(in[k] + i);
            const wide result = apply<Op>(operand, std::make_integer_sequence<int, inputs>{});
            if (stream)
                rectified::RECTIFIED_TARGET::stream(out + i, result);
            else
                store(out + i, result);
        }
        if (stream) streamed();
        strided(args, steps, i, end);
    }

    static void strided(char **args, const npy_intp *steps, npy_intp begin, npy_intp end) {
        alignas(64) S lane[inputs + 1][narrow::lanes] = {};
        for (int k = 0; k < inputs; ++k)
            if (steps[k] == 0)
                for (int j = 0; j < narrow::lanes; ++j) lane[k][j] = read(args[k]);
        for (npy_intp i = begin; i < end; i += narrow::lanes) {
            const npy_intp count = end - i < narrow::lanes ? end - i : narrow::lanes;
            narrow operand[inputs];
            for (int k = 0; k < inputs; ++k) {
                const char *const from = args[k] + i * steps[k];
                if (steps[k] == sizeof(S))
                    __builtin_memcpy(lane[k], from, count * sizeof(S));
                else if (steps[k] != 0)
                    for (npy_intp j = 0; j < count; ++j) lane[k][j] = read(from + j * steps[k]);
                operand[k] = load<narrow>(lane[k]);
            }
            S *const result = lane[inputs];
            store(result, apply<Op>(operand, std::make_integer_sequence<int, inputs>{}));
            char *const to = args[inputs] + i * steps[inputs];
            if (steps[inputs] == sizeof(S))
                __builtin_memcpy(to, result, count * sizeof(S));
            else
                for (npy_intp j = 0; j < count; ++j) __builtin_memcpy(to + j * steps[inputs], result + j, sizeof(S));
        }
    }

    static S read(const char *from) {
        S value;
        __builtin_memcpy(&value, from, sizeof(S));
        return value;
    }
};

}  // namespace rectified::RECTIFIED_TARGET
