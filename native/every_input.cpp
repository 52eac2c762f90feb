#include "every_input.hpp"

#include "element.hpp"
#include "environment.hpp"
#include "power.hpp"
#include "settle.hpp"
#include "threads.hpp"

namespace rectified::RECTIFIED_TARGET {
namespace {

constexpr npy_intp worth_splitting = 1 << 19;

// Data side by side, parameters that are the same for all, and a result that stands in the place of an input or apart.
template <class S>
bool is_plain(char *const *args, npy_intp count, const npy_intp *steps, int data, int parameters) {
    const char *const out = args[data + parameters];
    bool yes = steps[data + parameters] == sizeof(S);
    for (int k = 0; k < data; ++k) {
        const bool apart = out + count * sizeof(S) <= args[k] || args[k] + count * sizeof(S) <= out;
        yes = yes && steps[k] == sizeof(S) && (apart || out == args[k]);
    }
    for (int k = data; k < data + parameters; ++k) yes = yes && steps[k] == 0;
    return yes;
}

// All numbers of S, in the order of their bits.
template <class S>
void list_all(S *to) {
    for (npy_intp i = 0; i < table::entries; ++i) {
        const auto bits = static_cast<std::uint16_t>(i);
        __builtin_memcpy(to + i, &bits, sizeof(S));
    }
}

// `make` is given the parameters, and where the entries belong.
template <class E, class F>
const table *table_for(const tabulated_work &work, char *const *parameters, npy_intp count, F make) {
    std::uint16_t bits[table::most_parameters] = {};
    for (int k = 0; k < work.parameters; ++k) __builtin_memcpy(&bits[k], parameters[k], sizeof(bits[k]));
    const table *const found = work.kept->find(bits);
    return found || !work.kept->are_due(count) ? found : work.kept->make<E>(bits, make);
}

template <class S>
const table *results_for(const tabulated_work &work, char *const *parameters, npy_intp count) {
    return table_for<S>(work, parameters, count, [&](S *entries) {
        list_all(entries);
        char *args[2 + table::most_parameters] = {reinterpret_cast<char *>(entries)};
        npy_intp steps[2 + table::most_parameters] = {sizeof(S)};
        for (int k = 0; k < work.parameters; ++k) args[1 + k] = parameters[k];
        args[1 + work.parameters] = reinterpret_cast<char *>(entries);
        steps[1 + work.parameters] = sizeof(S);
        work.computed.run(args, &table::entries, steps, const_cast<void *>(work.computed.work));
    });
}

// ---- looking up -----------------------------------------------------------------------------------------------------

// Numbers are loaded one by one, and put together in registers. Instructions that gather them take longer on many
// processors.
typedef std::uint16_t eight __attribute__((vector_size(16)));
typedef std::uint32_t four __attribute__((vector_size(16)));
typedef std::uint64_t two __attribute__((vector_size(16)));

// In the lowest lanes: an entry, and what stands beside it. Of it no use is made, but loaded alone, and then put beside
// another, an entry would take one more step.
RECTIFIED_INLINE four lowest(const float *entry) {
    std::uint64_t both;
    __builtin_memcpy(&both, entry, sizeof(both));
    return (four)two{both};
}
RECTIFIED_INLINE four lowest(const std::uint16_t *entry) {
    std::uint32_t both;
    __builtin_memcpy(&both, entry, sizeof(both));
    return four{both};
}
// The lowest lanes of both in turn, of as many bytes as E has.
template <class E>
RECTIFIED_INLINE four in_turn(const four &a, const four &b) {
    if constexpr (sizeof(E) == 2)
        return (four)__builtin_shufflevector((eight)a, (eight)b, 0, 8, 1, 9, 2, 10, 3, 11);
    else if constexpr (sizeof(E) == 4)
        return __builtin_shufflevector(a, b, 0, 4, 1, 5);
    else
        return __builtin_shufflevector(a, b, 0, 1, 4, 5);
}

template <class E>
RECTIFIED_INLINE four four_of(const E *table, const std::uint16_t *x) {
    std::uint64_t which;
    __builtin_memcpy(&which, x, sizeof(which));
    const four low = in_turn<E>(lowest(table + (which & 0xFFFF)), lowest(table + (which >> 16 & 0xFFFF)));
    const four high = in_turn<E>(lowest(table + (which >> 32 & 0xFFFF)), lowest(table + (which >> 48)));
    return in_turn<std::conditional_t<sizeof(E) == 2, std::uint32_t, std::uint64_t>>(low, high);
}

template <class E>
void look_up(const E *table, const std::uint16_t *x, npy_intp count, E *to) {
    npy_intp i = 0;
    for (; i + 8 <= count; i += 8) {
        const four low = four_of(table, x + i), high = four_of(table, x + i + 4);
        if constexpr (sizeof(E) == 2) {
            const four all = in_turn<std::uint64_t>(low, high);
            __builtin_memcpy(to + i, &all, sizeof(all));
        } else {
            __builtin_memcpy(to + i, &low, sizeof(low));
            __builtin_memcpy(to + i + 4, &high, sizeof(high));
        }
    }
    for (; i < count; ++i) to[i] = table[x[i]];
}

// ---- products -------------------------------------------------------------------------------------------------------

// A slope is rounded to float32, and so is its product: together they err by less than this many ULP.
constexpr int error_of_product = 2;

template <class S>
constexpr int digits_dropped = std::is_same_v<S, half> ? 13 : 16;

// The product of two numbers that float32 lacks the range for: NaN with bits that are open below.
template <class S>
constexpr std::uint32_t nan_that_is_open = 0x7FC00000 | 1 << (digits_dropped<S> - 1);

// 0 where it is open how a product is rounded: where it is next to the middle between two numbers of S.
template <class S, class B>
RECTIFIED_INLINE typename B::integer distance_to_tie(const B &product) {
    using I = typename B::integer;
    B y = product;
    if constexpr (std::is_same_v<S, half>)  // below its normal numbers all are as far apart as the first of those
        y = select(abs(y) < B(0x1p-14f), y + with_sign_of(B(0x1p-14f), y), y);
    constexpr int dropped = digits_dropped<S>, middle = 1 << (dropped - 1);
    return (I::bits_of(y) + I(middle + error_of_product)) & I((1 << dropped) - 2 * error_of_product);
}

template <class B>
RECTIFIED_INLINE void round_what_is_not_open(half *to, const B &y) {
    store(to, y);
}
template <class B>
RECTIFIED_INLINE void round_what_is_not_open(bfloat16 *to, const B &y) {
    typedef std::uint32_t wraps __attribute__((vector_size(register_bytes)));
    B::visit([&](int i) {
        const wraps bits = (wraps)y.part[i] + 0x8000;
        bits_to<lanes_of_float>(to + i * B::lanes_per_register, (lanes_of_float::integers)(bits >> 16));
    });
}

// Slopes: those of the largest factors, 1, in float64.
template <class S>
const table *slopes_for(const tabulated_work &work, char *const *parameters, npy_intp count) {
    return table_for<float>(work, parameters, count, [&](float *entries) {
        constexpr npy_intp some = 512;
        double numbers[3][some], given[table::most_parameters];
        char *args[3 + table::most_parameters] = {reinterpret_cast<char *>(numbers[0]),
                                                  reinterpret_cast<char *>(numbers[1])};
        npy_intp steps[3 + table::most_parameters] = {sizeof(double), sizeof(double)};
        for (int k = 0; k < work.parameters; ++k) {
            given[k] = repeated<batch<double, 1>>(reinterpret_cast<const S *>(parameters[k])).part[0][0];
            args[2 + k] = reinterpret_cast<char *>(&given[k]);
        }
        args[2 + work.parameters] = reinterpret_cast<char *>(numbers[2]);
        steps[2 + work.parameters] = sizeof(double);
        for (double &factor : numbers[0]) factor = 1;
        for (npy_intp first = 0; first < table::entries; first += some) {
            for (npy_intp i = 0; i < some; ++i) {
                const auto bits = static_cast<std::uint16_t>(first + i);
                S x;
                __builtin_memcpy(&x, &bits, sizeof(x));
                numbers[1][i] = repeated<batch<double, 1>>(&x).part[0][0];
            }
            work.in_float64.run(args, &some, steps, const_cast<void *>(work.in_float64.work));
            for (npy_intp i = 0; i < some; ++i) {
                const double slope = numbers[2][i], size = slope < 0 ? -slope : slope;
                // A factor may bring back to S's numbers what is none of float32's normal ones.
                const bool is_lost = (size > 0 && size < 0x1p-126) || size > std::numeric_limits<float>::max();
                const float number = static_cast<float>(slope);
                const std::uint32_t open = nan_that_is_open<S>;
                __builtin_memcpy(entries + first + i, is_lost ? static_cast<const void *>(&open) : &number, sizeof(float));
            }
        }
    });
}

template <class S>
class product {
  public:
    product(char *const *args, const tabulated_work &work, const table &slopes)
        : dy_(reinterpret_cast<const S *>(args[0])),
          x_(reinterpret_cast<const std::uint16_t *>(args[1])),
          to_(reinterpret_cast<S *>(args[2 + work.parameters])),
          parameters_(args + 2),
          work_(work),
          slopes_(slopes.as<float>()) {}

    void run(npy_intp begin, npy_intp end) const {
        alignas(64) float slopes[block];
        open_products open;
        for (npy_intp i = begin; i < end; i += block) {
            const npy_intp count = end - i < block ? end - i : block;
            look_up(slopes_, x_ + i, count, slopes);
            if (open.count + count > 2 * block) settle(open);
            npy_intp j = 0;
            for (; j + B::lanes <= count; j += B::lanes) multiply(dy_ + i + j, slopes + j, i + j, to_ + i + j, open);
            if (j == count) continue;
            S last[B::lanes] = {}, rounded[B::lanes];
            for (npy_intp k = j; k < count; ++k) last[k - j] = dy_[i + k];
            for (npy_intp k = count; k < j + B::lanes; ++k) slopes[k] = 0;
            multiply(last, slopes + j, i + j, rounded, open);
            for (npy_intp k = j; k < count; ++k) to_[i + k] = rounded[k - j];
        }
        if (open.count) settle(open);
    }

  private:
    using B = batch<float, registers_at_once>;

    // They wait with their operands, in whose place results may come, until there are some.
    struct open_products {
        npy_intp count = 0, which[2 * block];
        S dy[2 * block];
        std::uint16_t x[2 * block];
    };

    const S *const dy_;
    const std::uint16_t *const x_;
    S *const to_;
    char *const *const parameters_;
    const tabulated_work &work_;
    const float *const slopes_;

    RECTIFIED_INLINE void multiply(const S *dy, const float *slopes, npy_intp first, S *to, open_products &open) const {
        using I = typename B::integer;
        const B product = load<B>(dy) * load<B>(slopes);
        const I distance = distance_to_tie<S>(product);
        if (any(distance == I(0))) [[unlikely]] {
            for (std::uint64_t bits = signs(distance == I(0)); bits; bits &= bits - 1, ++open.count) {
                const int j = __builtin_ctzll(bits);
                open.which[open.count] = first + j;
                open.dy[open.count] = dy[j];
                open.x[open.count] = x_[first + j];
            }
        }
        round_what_is_not_open(to, product);
    }

    [[gnu::noinline]] void settle(open_products &open) const {
        S results[2 * block];
        char *args[3 + table::most_parameters] = {reinterpret_cast<char *>(open.dy), reinterpret_cast<char *>(open.x)};
        npy_intp steps[3 + table::most_parameters] = {sizeof(S), sizeof(S)};
        for (int k = 0; k < work_.parameters; ++k) args[2 + k] = parameters_[k];
        args[2 + work_.parameters] = reinterpret_cast<char *>(results);
        steps[2 + work_.parameters] = sizeof(S);
        work_.computed.run(args, &open.count, steps, const_cast<void *>(work_.computed.work));
        for (npy_intp j = 0; j < open.count; ++j) to_[open.which[j]] = results[j];
        open.count = 0;
    }
};

template <class F>
void in_parts(npy_intp count, F body) {
    if (count < worth_splitting)
        body(0, count);
    else
        in_parallel(count, least_share, body);
}

}  // namespace

template <class S>
void result_of_table(char **args, const npy_intp *dimensions, const npy_intp *steps, void *tabulated) {
    const auto &work = *static_cast<const tabulated_work *>(tabulated);
    const npy_intp count = dimensions[0];
    const table *found = nullptr;
    if (is_plain<S>(args, count, steps, 1, work.parameters)) found = results_for<S>(work, args + 1, count);
    if (!found) return work.computed.run(args, dimensions, steps, const_cast<void *>(work.computed.work));
    const auto *const x = reinterpret_cast<const std::uint16_t *>(args[0]), *const results = found->as<std::uint16_t>();
    auto *const to = reinterpret_cast<std::uint16_t *>(args[1 + work.parameters]);
    in_parts(count, [=](npy_intp begin, npy_intp end) { look_up(results, x + begin, end - begin, to + begin); });
}

template <class S>
void product_with_table(char **args, const npy_intp *dimensions, const npy_intp *steps, void *tabulated) {
    const default_environment environment;
    const auto &work = *static_cast<const tabulated_work *>(tabulated);
    const npy_intp count = dimensions[0];
    const table *found = nullptr;
    if (is_plain<S>(args, count, steps, 2, work.parameters)) found = slopes_for<S>(work, args + 2, count);
    if (!found) return work.computed.run(args, dimensions, steps, const_cast<void *>(work.computed.work));
    const product<S> all(args, work, *found);
    in_parts(count, [&](npy_intp begin, npy_intp end) { all.run(begin, end); });
}

template void result_of_table<half>(char **, const npy_intp *, const npy_intp *, void *);
template void result_of_table<bfloat16>(char **, const npy_intp *, const npy_intp *, void *);
template void product_with_table<half>(char **, const npy_intp *, const npy_intp *, void *);
template void product_with_table<bfloat16>(char **, const npy_intp *, const npy_intp *, void *);

}  // namespace rectified::RECTIFIED_TARGET
