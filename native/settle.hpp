// Rounding results of float32 to a shorter type: where their error decides, they are asked for again with more digits.
#pragma once

#include <numpy/npy_common.h>

#include "blocks.hpp"
#include "element.hpp"
#include "usual.hpp"

namespace rectified::RECTIFIED_TARGET {

// float32's kernels err by an ULP, as far as from the rounded result, and a product with a slope adds one half. A result
// that lies nearer than this to the middle between two numbers of the shorter type is open (Ziv's rounding test): one of
// 700 for half precision, one of 5,000 for bfloat16.
inline constexpr int most_error = 6;  // ULP

using one_register = batch<float, 1>;

template <class Lanes>
RECTIFIED_INLINE bool is_zero(const Lanes &lanes) {
    std::uint64_t parts[sizeof(Lanes) / 8], all = 0;
    __builtin_memcpy(parts, &lanes, sizeof(lanes));
    for (const std::uint64_t part : parts) all |= part;
    return all == 0;
}

// In which lanes it is open how a result is rounded, there bits are not 0.
template <class S>
struct doubt;
template <>
struct doubt<half> {
    lanes_of_float::shorts lanes;
};
template <>
struct doubt<bfloat16> {
    lanes_of_float::integers lanes;
};

// These lanes, the first one's bit lowest.
template <class S>
RECTIFIED_INLINE unsigned bits_of(const doubt<S> &open) {
    const auto wide = __builtin_convertvector(open.lanes, lanes_of_float::integers);
    return single::signs<std::int32_t>(wide != 0);
}

// Rounds. Open is also NaN: it may be infinity times a slope that only float64 tells from 0.
RECTIFIED_INLINE doubt<half> rounded_to(half *to, const one_register &y) {
    constexpr float error = most_error * 0x1p-24f;
    const auto bits = [](const one_register &x) {
        half rounded[one_register::lanes];
        lanes_of_float::shorts lanes;
        store(rounded, x);
        __builtin_memcpy(&lanes, rounded, sizeof(lanes));
        return lanes;
    };
    const auto below = bits(y * one_register(1 - error));
    const auto above = bits(lesser(y * one_register(1 + error), one_register(std::numeric_limits<float>::infinity())));
    __builtin_memcpy(to, &below, sizeof(below));
    return {below ^ above};
}

// Open is also what is no finite number: the type's range is float32's, which may be passed on the way to a result within.
RECTIFIED_INLINE doubt<bfloat16> rounded_to(bfloat16 *to, const one_register &y) {
    using I = one_register::integer;
    const I bits = I::bits_of(y), beyond = I(0x7F800000), beside = (bits + I(most_error - 0x8000)) & I(0xFFFF);
    bits_to<lanes_of_float>(to, upper_half<lanes_of_float>::rounded(y.part[0]));
    return {(((bits & beyond) == beyond) | (I(2 * most_error + 1) > beside)).part[0]};
}

// Whether a parameter is one with which float32's kernels have the accuracy that is counted on.
template <class S>
bool suits_float32(S parameter) {
    using B = batch<double, 1>;
    const B value = repeated<B>(&parameter);
    return !any((is_usual(value) | (value == B(0))) == B::integer(0));
}

// Whether parameters are the same for all elements, and such.
template <class S>
bool suit_float32(const char *const *args, const npy_intp *steps, int count) {
    bool all = true;
    for (int k = 0; k < count; ++k) all = all && steps[k] == 0 && suits_float32(read<S>(args[k]));
    return all;
}

// Rounds results, lists which of them are open, and says how many.
template <class S>
npy_intp round_and_list_open(const float *results, npy_intp count, S *to, npy_intp *open) {
    constexpr int lanes = one_register::lanes, at_once = 4;
    npy_intp found = 0, i = 0;
    const auto list = [&](std::uint64_t bits) {
        for (; bits; bits &= bits - 1) open[found++] = i + __builtin_ctzll(bits);
    };
    while (i + at_once * lanes <= count) {
        doubt<S> doubts[at_once], all = {};
        for (int k = 0; k < at_once; ++k) {
            doubts[k] = rounded_to(to + i + k * lanes, load<one_register>(results + i + k * lanes));
            all.lanes |= doubts[k].lanes;
        }
        if (!is_zero(all.lanes)) [[unlikely]] {
            std::uint64_t bits = 0;
            for (int k = 0; k < at_once; ++k) bits |= std::uint64_t(bits_of(doubts[k])) << k * lanes;
            list(bits);
        }
        i += at_once * lanes;
    }
    for (; i < count; i += lanes) {
        float last[lanes] = {};
        S rounded[lanes];
        const npy_intp rest = count - i < lanes ? count - i : lanes;
        for (npy_intp j = 0; j < rest; ++j) last[j] = results[i + j];
        list(bits_of(rounded_to(rounded, load<one_register>(last))));
        for (npy_intp j = 0; j < rest; ++j) to[i + j] = rounded[j];
    }
    return found;
}

// The product with a slope, in the slope's place and in whole registers. A slope below float32's normal numbers has few
// digits or none, and a factor above 1 may bring it up to where bfloat16 shows them: then it is NaN, which is open. Half
// precision ends long before.
template <class S>
void multiply_or_leave_open(const float *factors, float *slopes, npy_intp count) {
    for (npy_intp i = 0; i < count; i += one_register::lanes) {
        const auto factor = load<one_register>(factors + i), slope = load<one_register>(slopes + i);
        const auto lost = (abs(slope) < one_register(0x1p-100f)) & (abs(factor) > one_register(1));
        const auto product = factor * slope;
        store(slopes + i, std::is_same_v<S, half>
                              ? product
                              : select(lost, one_register(std::numeric_limits<float>::quiet_NaN()), product));
    }
}

}  // namespace rectified::RECTIFIED_TARGET
