// Rounding results of float32 to a shorter type: where their error decides, they are asked for again with more digits.
#pragma once

#include <numpy/npy_common.h>

#include "element.hpp"

namespace rectified::RECTIFIED_TARGET {

// float32's kernels err by an ULP or two, and a product with a slope adds one. A result that lies nearer than this to the
// middle between two numbers of the shorter type is open (Ziv's rounding test): one of 500 for half precision, one of 4,000
// for bfloat16.
inline constexpr int most_error = 8;  // ULP

using one_register = batch<float, 1>;

template <int Bytes>
RECTIFIED_INLINE bool are_equal(const void *a, const void *b) {
    std::uint64_t parts[2][Bytes / 8], differences = 0;
    __builtin_memcpy(parts[0], a, Bytes);
    __builtin_memcpy(parts[1], b, Bytes);
    for (int i = 0; i < Bytes / 8; ++i) differences |= parts[0][i] ^ parts[1][i];
    return differences == 0;
}

// Rounds, and says which lanes are open by bits, the first lane's lowest. Open is also NaN: it may be infinity times a
// slope that only float64 tells from 0.
RECTIFIED_INLINE unsigned rounded_to(half *to, const one_register &y) {
    constexpr int lanes = one_register::lanes;
    half above[lanes];
    store(to, y * one_register(1 - most_error * 0x1p-24f));
    store(above, lesser(y * one_register(1 + most_error * 0x1p-24f), one_register(std::numeric_limits<float>::infinity())));
    if (are_equal<sizeof(above)>(to, above)) [[likely]]
        return 0;
    const auto same = load<one_register>(to) == load<one_register>(above);
    return ~single::signs<std::int32_t>(same.part[0]) & ((1u << lanes) - 1);
}

// Open is also what is no finite number: the type's range is float32's, which may be passed on the way to a result within.
RECTIFIED_INLINE unsigned rounded_to(bfloat16 *to, const one_register &y) {
    using I = one_register::integer;
    store(to, y);
    const I bits = I::bits_of(y), beyond = I(0x7F800000), distance = (bits & I(0xFFFF)) - I(0x8000);
    const I open = (((bits & beyond) == beyond) | ((distance >= I(-most_error)) & (distance <= I(most_error))));
    return single::signs<std::int32_t>(open.part[0]);
}

// Whether a parameter is one with which float32's kernels have the accuracy that is counted on: neither numbers nor steps
// on the way to a result leave float32's range.
template <class S>
bool is_usual(S parameter) {
    double values[batch<double, 1>::lanes];
    store(values, repeated<batch<double, 1>>(&parameter));
    const double size = values[0] < 0 ? -values[0] : values[0];
    return size == 0 || (size >= 0x1p-24 && size <= 0x1p16);
}

// Rounds results, lists which of them are open, and says how many.
template <class S>
npy_intp round_and_list_open(const float *results, npy_intp count, S *to, npy_intp *open) {
    constexpr int lanes = one_register::lanes;
    npy_intp found = 0, i = 0;
    const auto list = [&](unsigned bits) {
        for (; bits; bits &= bits - 1) open[found++] = i + __builtin_ctz(bits);
    };
    for (; i + lanes <= count; i += lanes) list(rounded_to(to + i, load<one_register>(results + i)));
    if (i < count) {
        float last[lanes] = {};
        S rounded[lanes];
        for (npy_intp j = i; j < count; ++j) last[j - i] = results[j];
        list(rounded_to(rounded, load<one_register>(last)));
        for (npy_intp j = i; j < count; ++j) to[j] = rounded[j - i];
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
