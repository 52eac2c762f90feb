// From an operation to the loop that NumPy calls: any strides, any overlap, any length.
//
// Every element goes through the same batch operations, the last few in a batch that is not full. So a result has the same
// bits whatever the length, the strides, the alignment and the place in the array.
#pragma once

#include <numpy/npy_common.h>

#include "blocks.hpp"
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
    static void run(char **args, const npy_intp *dimensions, const npy_intp *steps, void *streaming_bytes) {
        const default_environment environment;
        const npy_intp count = dimensions[0];
        if (depends_on_order(args, steps, count)) {
            for (npy_intp i = 0; i < count; ++i) by_blocks(args, steps, i, i + 1);
        } else if (is_contiguous(steps)) {
            const bool stream = past_caches(args, steps, count, *static_cast<const npy_intp *>(streaming_bytes));
            split(count, [=](npy_intp begin, npy_intp end) { whole(args, steps, begin, end, stream); });
        } else {
            split(count, [=](npy_intp begin, npy_intp end) { by_blocks(args, steps, begin, end); });
        }
    }

  private:
    static constexpr int inputs = Op::inputs;
    using operands = std::make_integer_sequence<int, inputs>;
    using C = typename computed_in<typename Op::function, S>::type;
    using wide = batch<C, registers_at_once>;
    using narrow = batch<C, 1>;
    // Below this waking a thread takes longer than it saves.
    static constexpr npy_intp worth_splitting = requires { Op::function::piecewise_linear; } ? 1 << 19 : 1 << 18;
    static constexpr npy_intp grain = 1 << 16;

    template <class F>
    static void split(npy_intp count, F body) {
        if (count < worth_splitting)
            body(0, count);
        else
            in_parallel(count, grain, body);
    }

    // An input to the kernel: elements side by side, or one for all (move 0), which is then repeated in `same`.
    struct operand {
        const S *first;
        npy_intp move;
        alignas(64) S same[wide::lanes];

        void repeat(S value) {
            for (S &lane : same) lane = value;
            first = same;
            move = 0;
        }
    };

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
        for (int i = 0; i < inputs; ++i) yes = yes && (steps[i] == sizeof(S) || steps[i] == 0);
        return yes;
    }

    static bool past_caches(char **args, const npy_intp *steps, npy_intp count, npy_intp streaming_bytes) {
        npy_intp bytes = count * sizeof(S);
        for (int i = 0; i < inputs; ++i) {
            if (args[i] == args[inputs]) return false;  // in place: the line is in the cache already
            bytes += count * steps[i];
        }
        return bytes >= streaming_bytes && reinterpret_cast<npy_uintp>(args[inputs]) % sizeof(S) == 0;
    }

    static void whole(char **args, const npy_intp *steps, npy_intp begin, npy_intp end, bool stream) {
        operand in[inputs];
        for (int k = 0; k < inputs; ++k) {
            if (steps[k] == 0) {
                in[k].repeat(read<S>(args[k]));
            } else {
                in[k].first = reinterpret_cast<const S *>(args[k]) + begin;
                in[k].move = 1;
            }
        }
        compute(in, reinterpret_cast<S *>(args[inputs]) + begin, end - begin, stream);
    }

    static void by_blocks(char **args, const npy_intp *steps, npy_intp begin, npy_intp end) {
        operand in[inputs];
        S gather_buffer[inputs][block], result_buffer[block];
        for (int k = 0; k < inputs; ++k)
            if (steps[k] == 0) in[k].repeat(read<S>(args[k]));
        for (npy_intp i = begin; i < end; i += block) {
            const npy_intp count = end - i < block ? end - i : block;
            for (int k = 0; k < inputs; ++k) {
                if (steps[k] == 0) continue;
                in[k].first = gathered(args[k] + i * steps[k], steps[k], count, gather_buffer[k]);
                in[k].move = 1;
            }
            char *const to = args[inputs] + i * steps[inputs];
            S *const result = place_for(to, steps[inputs], result_buffer);
            compute(in, result, count, false);
            scatter(result, count, to, steps[inputs]);
        }
    }

    static void compute(const operand *in, S *out, npy_intp count, bool stream) {
        npy_intp i = 0;
        if (stream) {
            const npy_intp past = reinterpret_cast<npy_uintp>(out) % register_bytes;
            const npy_intp head = past ? (register_bytes - past) / npy_intp(sizeof(S)) : 0;
            i = head < count ? head : count;
            last_few(in, out, 0, i);
        }
        bool plain = true;
        for (int k = 0; k < inputs; ++k) plain = plain && in[k].move == (k < Op::data ? 1 : 0);
        i = plain ? wide_batches<true>(in, out, i, count, stream, operands{})
                  : wide_batches<false>(in, out, i, count, stream, operands{});
        if (stream) streamed();
        last_few(in, out, i, count);
    }

    static wide repeated(const operand &parameter) {
        const narrow value = load<narrow>(parameter.same);
        return wide::each([&](int) { return value.part[0]; });
    }

    // From i on as many wide batches as there are; where it ended. Plain is the common case: arrays side by side and
    // parameters that are one number, so that what a kernel makes of its parameters is made once, before the loop.
    template <bool Plain, int... I>
    static npy_intp wide_batches(const operand *in, S *out, npy_intp i, npy_intp count, bool stream,
                                 std::integer_sequence<int, I...>) {
        const S *const first[] = {in[I].first...};
        const npy_intp move[] = {in[I].move...};
        const wide fixed[] = {Plain && I >= Op::data ? repeated(in[I]) : wide()...};
        for (; i + wide::lanes <= count; i += wide::lanes) {
            const wide result =
                Op::of((Plain && I >= Op::data ? fixed[I] : load<wide>(first[I] + (Plain ? i : i * move[I])))...);
            if (stream)
                rectified::RECTIFIED_TARGET::stream(out + i, result);
            else
                store(out + i, result);
        }
        return i;
    }

    // Less than a wide batch. What does not fill a narrow one is computed beside zeros.
    static void last_few(const operand *in, S *out, npy_intp begin, npy_intp end) {
        for (npy_intp i = begin; i < end; i += narrow::lanes) {
            alignas(64) S lanes[inputs + 1][narrow::lanes];
            const S *from[inputs];
            const npy_intp count = end - i;
            const bool full = count >= narrow::lanes;
            for (int k = 0; k < inputs; ++k) {
                from[k] = in[k].first + i * in[k].move;
                if (full) continue;
                for (npy_intp j = 0; j < narrow::lanes; ++j) lanes[k][j] = j < count ? from[k][j * in[k].move] : S(0);
                from[k] = lanes[k];
            }
            S *const to = full ? out + i : lanes[inputs];
            narrow values[inputs];
            for (int k = 0; k < inputs; ++k) values[k] = load<narrow>(from[k]);
            store(to, apply<Op>(values, operands{}));
            if (!full)
                for (npy_intp j = 0; j < count; ++j) out[i + j] = to[j];
        }
    }
};

}  // namespace rectified::RECTIFIED_TARGET
