#include "packed.hpp"

#include "blocks.hpp"
#include "environment.hpp"
#include "memory.hpp"
#include "threads.hpp"

namespace rectified::RECTIFIED_TARGET {
namespace {

constexpr npy_intp worth_splitting = 1 << 19;

// A lane is -1 where its bit is set, else 0.
template <class I>
RECTIFIED_INLINE register_t<I> lanes_of(unsigned bits) {
    register_t<I> own;
    for (unsigned i = 0; i < register_bytes / sizeof(I); ++i) own[i] = I(1) << i;
    return ((register_t<I>{} + I(bits)) & own) == own;
}

// dy times one of two slopes; a count of eights.
template <class S>
void choose(const S *dy, const unsigned char *bits, npy_intp count, multiplied_in<S> steep, multiplied_in<S> elsewhere,
            S *dx) {
    using B = batch_of_bytes<multiplied_in<S>>;
    using I = typename B::integer;
    const B slope = B(steep), other = B(elsewhere);
    for (npy_intp i = 0; i < count; i += B::lanes) {
        unsigned found = 0;
        for (int k = 0; k < B::lanes / 8; ++k) found |= unsigned(bits[i / 8 + k]) << (8 * k);
        const I mask = I::each([&](int k) { return lanes_of<typename I::scalar>(found >> (k * B::lanes_per_register)); });
        store(dx + i, load<B>(dy + i) * select(mask, slope, other));
    }
}

// Elements past the caches, to a place that is aligned to 16 bytes. Registers would want more, which a block that begins at
// a multiple of eight may not have.
template <class S>
void stream_block(const S *values, npy_intp count, S *to) {
    npy_intp i = 0;
#if defined(__x86_64__)
    constexpr npy_intp few = 16 / sizeof(S);
    for (; i + few <= count; i += few) {
        __m128i some;
        __builtin_memcpy(&some, values + i, 16);
        _mm_stream_si128(reinterpret_cast<__m128i *>(to + i), some);
    }
#endif
    for (; i < count; ++i) to[i] = values[i];
}

// An operand of the loop's inner dimension.
struct row {
    char *first;
    npy_intp step;

    char *at(npy_intp i) const { return first + i * step; }
};

// Part by part and block by block: `body` gets a block of `in`, as long as a whole number of registers, places for as many
// results and bits, and how many of them count.
template <class S, class Body>
void for_blocks(const row &in, const row &out, const row &bits, npy_intp count, bool reads_bits, Body body) {
    const bool aligned = out.step == sizeof(S) && reinterpret_cast<npy_uintp>(out.first) % 16 == 0;
    const bool past_caches = aligned && in.first != out.first && 2 * count * npy_intp(sizeof(S)) >= memory::streaming_bytes;
    const auto part = [&](npy_intp begin, npy_intp end) {
        for (npy_intp i = begin; i < end; i += block) {
            alignas(64) S some[block], result[block];
            unsigned char packed[block / 8];
            const npy_intp length = end - i < block ? end - i : block, bytes = (length + 7) / 8;
            const bool full = length == block;
            const S *from = gathered(in.at(i), in.step, length, some);
            if (!full) {
                for (npy_intp k = 0; k < block; ++k) some[k] = k < length ? from[k] : S();
                from = some;
            }
            S *const to = full && !past_caches ? place_for(out.at(i), out.step, result) : result;
            unsigned char *const at = full ? place_for(bits.at(i / 8), bits.step, packed) : packed;
            if (reads_bits && at == packed) gather(bits.at(i / 8), bits.step, bytes, packed);
            body(from, to, at);
            if (past_caches)
                stream_block(to, length, reinterpret_cast<S *>(out.at(i)));
            else
                scatter(to, length, out.at(i), out.step);
            if (reads_bits) continue;
            if (length % 8) at[bytes - 1] &= (1 << length % 8) - 1;
            scatter(at, bytes, bits.at(i / 8), bits.step);
        }
        if (past_caches) streamed();
    };
    if (count < worth_splitting)
        part(0, count);
    else
        in_parallel(count, least_share, part);
}

// So many elements as there are bits for: the caller has made them agree.
npy_intp count_of(const npy_intp *dimensions) {
    return dimensions[1] < 8 * dimensions[2] ? dimensions[1] : 8 * dimensions[2];
}

}  // namespace

template <class S>
void forward_packed(char **args, const npy_intp *dimensions, const npy_intp *steps, void *data) {
    const default_environment environment;
    const auto &function = *static_cast<const packing<S> *>(data);
    const int y = 1 + function.parameters, bits = y + 1;
    const npy_intp *const core = steps + bits + 1;
    for (npy_intp turn = 0; turn < dimensions[0]; ++turn) {
        const auto at = [&](int k) { return args[k] + turn * steps[k]; };
        const S *in[4];
        for (int k = 1; k < y; ++k) in[k] = reinterpret_cast<const S *>(at(k));
        for_blocks<S>({at(0), core[0]}, {at(y), core[1]}, {at(bits), core[2]}, count_of(dimensions), false,
                      [&](const S *x, S *to, unsigned char *packed) {
                          const S *operands[] = {x, in[1], in[2], in[3]};
                          function.steep(operands, packed, block);
                          function.value(operands, to, block, false);
                      });
    }
}

template <class S>
void backward_packed(char **args, const npy_intp *dimensions, const npy_intp *steps, void *data) {
    const default_environment environment;
    const auto &function = *static_cast<const packing<S> *>(data);
    const int dx = 2 + function.parameters;
    const npy_intp *const core = steps + dx + 1;
    for (npy_intp turn = 0; turn < dimensions[0]; ++turn) {
        const auto at = [&](int k) { return args[k] + turn * steps[k]; };
        const S *parameters[3];
        for (int k = 2; k < dx; ++k) parameters[k - 2] = reinterpret_cast<const S *>(at(k));
        multiplied_in<S> steep, elsewhere;
        function.slopes(parameters, &steep, &elsewhere);
        for_blocks<S>(
            {at(0), core[0]}, {at(dx), core[2]}, {at(1), core[1]}, count_of(dimensions), true,
            [&](const S *dy, S *to, const unsigned char *packed) { choose(dy, packed, block, steep, elsewhere, to); });
    }
}

#define RECTIFIED_PACKED(S)                                                               \
    template void forward_packed<S>(char **, const npy_intp *, const npy_intp *, void *); \
    template void backward_packed<S>(char **, const npy_intp *, const npy_intp *, void *);
RECTIFIED_PACKED(half)
RECTIFIED_PACKED(bfloat16)
RECTIFIED_PACKED(float)
RECTIFIED_PACKED(double)

}  // namespace rectified::RECTIFIED_TARGET
