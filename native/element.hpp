// An array's element: how it is stored, and in what type it is computed.
#pragma once

#include "short.hpp"
#include "vector.hpp"

namespace rectified::RECTIFIED_TARGET {

// The lanes of a register of float32 or float64, as float32, as integers, and as short ones.
struct lanes_of_float {
    typedef float floats __attribute__((vector_size(register_bytes)));
    typedef std::int32_t integers __attribute__((vector_size(register_bytes)));
    typedef std::uint16_t shorts __attribute__((vector_size(register_bytes / 2)));
};
struct lanes_of_double {
    typedef float floats __attribute__((vector_size(register_bytes / 2)));
    typedef std::int32_t integers __attribute__((vector_size(register_bytes / 2)));
    typedef std::uint16_t shorts __attribute__((vector_size(register_bytes / 4)));
};

template <class Lanes, class S>
RECTIFIED_INLINE typename Lanes::integers bits_from(const S *from) {
#if defined(__AVX512F__)
    if constexpr (sizeof(typename Lanes::integers) == 64)  // of a vector GCC would convert either half alone
        return (typename Lanes::integers)_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)from));
#endif
    typename Lanes::shorts packed;
    __builtin_memcpy(&packed, from, sizeof(packed));
    return __builtin_convertvector(packed, typename Lanes::integers);
}
template <class Lanes, class S>
RECTIFIED_INLINE void bits_to(S *to, typename Lanes::integers bits) {
    const auto packed = __builtin_convertvector(bits, typename Lanes::shorts);
    __builtin_memcpy(to, &packed, sizeof(packed));
}

#if defined(__AVX512F__) || defined(__F16C__)
RECTIFIED_INLINE register_t<float> widened(const half *from, const float *) {
#if defined(__AVX512F__)
    return (register_t<float>)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)from));
#else
    return (register_t<float>)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)from));
#endif
}
RECTIFIED_INLINE register_t<double> widened(const half *from, const double *) {
#if defined(__AVX512F__)
    return (register_t<double>)_mm512_cvtps_pd(_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)from)));
#else
    return (register_t<double>)_mm256_cvtps_pd(_mm_cvtph_ps(_mm_loadu_si64(from)));
#endif
}
RECTIFIED_INLINE void narrowed(half *to, register_t<float> value) {
#if defined(__AVX512F__)
    _mm256_storeu_si256((__m256i *)to, _mm512_cvtps_ph((__m512)value, _MM_FROUND_TO_NEAREST_INT));
#else
    _mm_storeu_si128((__m128i *)to, _mm256_cvtps_ph((__m256)value, _MM_FROUND_TO_NEAREST_INT));
#endif
}
RECTIFIED_INLINE void narrowed(half *to, lanes_of_double::floats value) {
#if defined(__AVX512F__)
    _mm_storeu_si128((__m128i *)to, _mm256_cvtps_ph((__m256)value, _MM_FROUND_TO_NEAREST_INT));
#else
    _mm_storeu_si64(to, _mm_cvtps_ph((__m128)value, _MM_FROUND_TO_NEAREST_INT));
#endif
}
#else
// No instruction converts. The compiler's own function would, but it raises flags where this loop does not restore them.
template <class Lanes>
struct conversion {
    using floats = typename Lanes::floats;
    using integers = typename Lanes::integers;

    RECTIFIED_INLINE static floats widened(const half *from) {
        const integers bits = bits_from<Lanes>(from);
        const integers magnitude = bits & 0x7FFF;
        const integers scaled = (integers)((floats)(magnitude << 13) * 0x1p112f);  // the bias of the exponents differs
        const integers wide = magnitude >= 0x7C00 ? scaled | 0x7F800000 : scaled;
        return (floats)(wide | (bits & 0x8000) << 16);
    }

    RECTIFIED_INLINE static void narrowed(half *to, floats value) {
        const integers bits = (integers)value, magnitude = bits & 0x7FFFFFFF;
        const integers normal = (magnitude - (112 << 23) + 0xFFF + ((magnitude >> 13) & 1)) >> 13;
        const integers subnormal = (integers)((floats)magnitude + 0.5f) - 0x3F000000;  // adding rounds at 2^-24
        integers narrow = magnitude < 0x38800000 ? subnormal : normal;
        narrow = magnitude >= 0x47800000 ? integers{} + 0x7C00 : narrow;
        narrow = magnitude > 0x7F800000 ? integers{} + 0x7E00 : narrow;
        narrow |= (bits >> 16) & 0x8000;
        bits_to<Lanes>(to, narrow);
    }
};
RECTIFIED_INLINE register_t<float> widened(const half *from, const float *) {
    return conversion<lanes_of_float>::widened(from);
}
RECTIFIED_INLINE register_t<double> widened(const half *from, const double *) {
    return __builtin_convertvector(conversion<lanes_of_double>::widened(from), register_t<double>);
}
RECTIFIED_INLINE void narrowed(half *to, register_t<float> value) { conversion<lanes_of_float>::narrowed(to, value); }
RECTIFIED_INLINE void narrowed(half *to, lanes_of_double::floats value) {
    conversion<lanes_of_double>::narrowed(to, value);
}
#endif

// The float32 beside a float64, for rounding it again to a shorter type: where digits are lost, the one whose last digit is
// odd, so that what was no tie does not become one (round to odd).
RECTIFIED_INLINE lanes_of_double::floats rounded_to_odd(register_t<double> value) {
    using integers = lanes_of_double::integers;
    const auto nearest = __builtin_convertvector(value, lanes_of_double::floats);
    const auto again = __builtin_convertvector(nearest, register_t<double>);
    const auto is_beyond = value < 0 ? again < value : again > value;
    const integers inexact = __builtin_convertvector(again != value, integers);
    const integers beyond = __builtin_convertvector(is_beyond, integers);  // -1, in bits the next number towards 0
    return (lanes_of_double::floats)(((integers)nearest + beyond) | (inexact & 1));
}

RECTIFIED_INLINE void narrowed(half *to, register_t<double> value) { narrowed(to, rounded_to_odd(value)); }

RECTIFIED_INLINE register_t<double> widened(const float *from, const double *) {
    lanes_of_double::floats few;
    __builtin_memcpy(&few, from, sizeof(few));
    return __builtin_convertvector(few, register_t<double>);
}
RECTIFIED_INLINE void narrowed(float *to, register_t<double> value) {
    const lanes_of_double::floats few = __builtin_convertvector(value, lanes_of_double::floats);
    __builtin_memcpy(to, &few, sizeof(few));
}

// bfloat16 is the upper half of a float32.
template <class Lanes>
struct upper_half {
    using floats = typename Lanes::floats;
    using integers = typename Lanes::integers;

    RECTIFIED_INLINE static floats widened(const bfloat16 *from) { return (floats)(bits_from<Lanes>(from) << 16); }

    // A NaN whose low bits are 0, as those have that come from a bfloat16, stays one, and is quiet. Others may wrap around.
    RECTIFIED_INLINE static integers rounded(floats value) {
        typedef std::uint32_t wraps __attribute__((vector_size(sizeof(integers))));
        const wraps bits = (wraps)value | ((wraps)(value != value) & 0x400000);
        return (integers)(bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
    }

    RECTIFIED_INLINE static void narrowed(bfloat16 *to, floats value) {
        const integers quiet = ((integers)value >> 16) | 0x40;
        bits_to<Lanes>(to, value == value ? rounded(value) : quiet);
    }
};
RECTIFIED_INLINE register_t<float> widened(const bfloat16 *from, const float *) {
    return upper_half<lanes_of_float>::widened(from);
}
RECTIFIED_INLINE register_t<double> widened(const bfloat16 *from, const double *) {
    return __builtin_convertvector(upper_half<lanes_of_double>::widened(from), register_t<double>);
}
RECTIFIED_INLINE void narrowed(bfloat16 *to, register_t<float> value) { upper_half<lanes_of_float>::narrowed(to, value); }
RECTIFIED_INLINE void narrowed(bfloat16 *to, register_t<double> value) {
    upper_half<lanes_of_double>::narrowed(to, rounded_to_odd(value));
}

template <class T>
RECTIFIED_INLINE register_t<T> widened(const T *from, const T *) {
    register_t<T> value;
    __builtin_memcpy(&value, from, register_bytes);
    return value;
}
template <class T>
RECTIFIED_INLINE void narrowed(T *to, register_t<T> value) {
    __builtin_memcpy(to, &value, register_bytes);
}

template <class S>
RECTIFIED_INLINE register_t<ample> widened(const S *from, const ample *) {
    return widened(from, static_cast<const double *>(nullptr));
}

template <class B, class S>
RECTIFIED_INLINE B load(const S *from) {
    constexpr const typename B::scalar *as = nullptr;
    return B::each([&](int i) { return widened(from + i * B::lanes_per_register, as); });
}

// One element in every lane.
template <class B, class S>
RECTIFIED_INLINE B repeated(const S *from) {
    S lanes[B::lanes_per_register];
    for (S &lane : lanes) lane = *from;
    const auto one = load<batch<typename B::scalar, 1>>(lanes);
    return B::each([&](int) { return one.part[0]; });
}

template <class B, class S>
RECTIFIED_INLINE void store(S *to, const B &value) {
    B::visit([&](int i) { narrowed(to + i * B::lanes_per_register, value.part[i]); });
}

// In the order that takes the fewest steps, which is the same for all arrays of a type, and back from it. Two registers of
// bfloat16 come of one: its lanes, in turns of four, are the upper halves of the lanes of both.
template <class B, class S>
RECTIFIED_INLINE B load_in_any_order(const S *from) {
#if defined(__x86_64__)
    if constexpr (std::is_same_v<S, bfloat16> && std::is_same_v<B, batch<float, 2>>) {
        register_t<std::int16_t> packed, zero = {};
        __builtin_memcpy(&packed, from, register_bytes);
        return B::each([&](int i) { return (register_t<float>)single::by_fours(zero, packed, i); });
    }
#endif
    return load<B>(from);
}
template <class B, class S>
RECTIFIED_INLINE void store_in_that_order(S *to, const B &value) {
#if defined(__x86_64__)
    if constexpr (std::is_same_v<S, bfloat16> && std::is_same_v<B, batch<float, 2>>) {
        using upper = upper_half<lanes_of_float>;
        const auto packed = single::shortened(upper::rounded(value.part[0]), upper::rounded(value.part[1]));
        __builtin_memcpy(to, &packed, register_bytes);
        return;
    }
#endif
    store(to, value);
}

// Past the caches, to memory: what is written is not read first. The place must be aligned to register_bytes.
template <class B, class S>
RECTIFIED_INLINE void stream(S *to, const B &value) {
    if constexpr (!std::is_same_v<S, typename B::scalar>) return store_in_that_order(to, value);
    B::visit([&](int i) {
        S *const place = to + i * B::lanes_per_register;
#if defined(__AVX512F__)
        _mm512_stream_si512((__m512i *)place, (__m512i)value.part[i]);
#elif defined(__AVX2__)
        _mm256_stream_si256((__m256i *)place, (__m256i)value.part[i]);
#elif defined(__x86_64__)
        _mm_stream_si128((__m128i *)place, (__m128i)value.part[i]);
#else
        __builtin_memcpy(place, &value.part[i], register_bytes);
#endif
    });
}

RECTIFIED_INLINE void streamed() {  // before another thread may read what was streamed
#if defined(__x86_64__)
    _mm_sfence();
#endif
}

}  // namespace rectified::RECTIFIED_TARGET
