// From an operation to its kernel: the operation on arrays whose elements lie side by side.
#pragma once

#include <numpy/npy_common.h>

#include "element.hpp"
#include "ends.hpp"
#include "later.hpp"
#include "operations.hpp"
#include "round_once.hpp"

namespace rectified::RECTIFIED_TARGET {

// `in` are the data, then the parameters. The common case has one number for each parameter, and what a
// kernel makes of it is made once, before the loop. Elements are stored as S and computed as C. Past the caches goes only
// an `out` that is aligned to registers.
template <class Op, class S, class C, bool FixedParameters>
struct kernel {
    static constexpr int registers = std::is_same_v<C, ample> ? 1 : Op::is_short ? registers_if_short : registers_at_once;
    static constexpr bool is_paired = sizeof(S) == 2 && Op::in_pairs;
    static constexpr bool puts_off =
        gathers_lanes && Op::has_middle && Op::parameters == 0 && std::is_same_v<C, float> && !is_paired;
    using B = batch<C, registers>;

    static void run(const S *const *in, S *out, npy_intp count, bool past_caches) {
        if constexpr (knows_one && FixedParameters)
            if (is_one(*in[Op::data])) return simpler::run(in, out, count, past_caches);
        if constexpr (knows_one && !FixedParameters) return with_ones(in, out, count);
        any_number(in, out, count, past_caches);
    }

  private:
    static constexpr bool knows_one = Op::template knows_one<std::conditional_t<sizeof(S) == 8, double, float>> &&
                                      (sizeof(S) > 2 || (is_paired && FixedParameters));
    using simpler = kernel<with_one<Op>, S, std::conditional_t<is_paired, C, S>, true>;

    static bool is_one(const S &parameter) {
        if constexpr (std::is_same_v<S, bfloat16>)
            return parameter.bits == 0x3F80;
        else
            return parameter == S(1);
    }

    // With the same bits as where the parameter is 1 for all.
    static void with_ones(const S *const *in, S *out, npy_intp count) {
        constexpr npy_intp most = 512;
        S of_one[most], of_any[most];
        const S *from[Op::inputs];
        for (npy_intp i = 0; i < count; i += most) {
            const npy_intp few = count - i < most ? count - i : most;
            for (int k = 0; k < Op::inputs; ++k) from[k] = in[k] + i;
            simpler::run(from, of_one, few, false);
            any_number(from, of_any, few, false);
            for (npy_intp j = 0; j < few; ++j) out[i + j] = from[Op::data][j] == S(1) ? of_one[j] : of_any[j];
        }
    }

    template <class... In>
    RECTIFIED_INLINE static B of(const In &...in) {
        if constexpr (is_paired)
            return to_be_rounded_once<Op, S>(in...);
        else
            return Op::of(in...);
    }

    // A processor that sees every line read once, by one load, does not run far enough ahead of a kernel that takes its
    // time, nor of any that reads from farther than the nearest cache; and there a line that is written is first read, too.
    template <bool Moves>
    RECTIFIED_INLINE static void prefetch(const S *from) {
        constexpr npy_intp line = 64 / sizeof(S), ahead = 16 * line;
        for (npy_intp k = 0; Moves && k < B::lanes; k += line) __builtin_prefetch(from + ahead + k);
    }

    RECTIFIED_INLINE static void write(S *to, const B &result, bool far, bool past_caches) {
        if (past_caches) return stream(to, result);
        if (far) prefetch<true>(to);
        store_in_that_order(to, result);
    }

    static constexpr bool moves(int input) { return !FixedParameters || input < Op::data; }

    static void any_number(const S *const *in, S *out, npy_intp count, bool past_caches) {
        if constexpr (puts_off)
            any_number(in, out, count, past_caches, batches<true>, in_blocks, in_blocks);
        else
            any_number(in, out, count, past_caches, batches<!Op::cheap>, batches<!Op::cheap>, batches<true>);
    }
    template <class F>
    RECTIFIED_INLINE static void any_number(const S *const *in, S *out, npy_intp count, bool past_caches, F one, F near,
                                            F far) {
        using parts = whole_batches<S, B::lanes, Op::inputs, FixedParameters ? Op::data : Op::inputs>;
        if (count % B::lanes == 0 && !past_caches && !is_far<S>(count)) return near(in, out, count, false);
        parts{one, near, far}.run(in, out, count, past_caches);
    }

    // A kernel that takes less time than its memory does has code of its own for what is near.
    template <bool Far>
    static void batches(const S *const *in, S *out, npy_intp count, bool past_caches) {
        [&]<int... I>(std::integer_sequence<int, I...>) __attribute__((always_inline)) {
            const S *const first[] = {in[I]...};
            const B fixed[] = {moves(I) ? B() : repeated<B>(in[I])...};
            const bool far = Far && is_far<S>(count);
            for (npy_intp i = 0; i < count; i += B::lanes) {
                const B result = of((moves(I) ? load_in_any_order<B>(first[I] + i) : fixed[I])...);
                if (Far) (prefetch<moves(I)>(first[I] + i), ...);
                write(out + i, result, far, Far && past_caches);
            }
        }(std::make_integer_sequence<int, Op::inputs>{});
    }

    // What is stored as other numbers than it is computed as, or past the caches, waits for its block in a place of its
    // own.
    static void in_blocks(const S *const *in, S *out, npy_intp count, bool past_caches) {
        block_with_later<Op, B> block;
        alignas(64) float waiting[block.most];
        for (npy_intp i = 0, few; i < count; i += few) {
            few = count - i < block.most ? count - i : block.most;
            float *results = waiting;
            if constexpr (std::is_same_v<S, float>)
                if (!past_caches) results = out + i;
            const auto read = [&](int input, npy_intp j) {
                const S *const from = in[input] + i + j;
                prefetch<true>(from);
                if (input == 0 && !past_caches) prefetch<true>(out + i + j);
                return load_in_any_order<B>(from);
            };
            block.compute(static_cast<int>(few), read, results);
            if (results == waiting)
                for (npy_intp j = 0; j < few; j += B::lanes) write(out + i + j, load<B>(waiting + j), true, past_caches);
        }
    }
};

}  // namespace rectified::RECTIFIED_TARGET
