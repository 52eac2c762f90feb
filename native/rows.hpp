// Rows of numbers for the loops of folds: where each number lies, and how rows are split over threads.
#pragma once

#include "blocks.hpp"
#include "element.hpp"
#include "environment.hpp"
#include "power.hpp"
#include "threads.hpp"

namespace rectified::RECTIFIED_TARGET {

// Numbers as batches: so many, each `step` numbers after the one before; and one more elsewhere, if there is a rest.
template <class B>
struct strip {
    using T = typename B::scalar;
    T *first;
    npy_intp step, count;
    T *rest = nullptr;
    int idle = 0;  // lanes of the rest that are there to fill it up
};

// f with a place in each strip, batch by batch; all have as many.
template <class F, class Strip, class... Strips>
RECTIFIED_INLINE void together(F f, const Strip &strip, const Strips &...strips) {
    for (npy_intp j = 0; j < strip.count; ++j) f(strip.first + j * strip.step, strips.first + j * strips.step...);
    if (strip.rest) f(strip.rest, strips.rest...);
}

// Whether the lanes of a batch are neighbours in a row, or each lane is a row of its own: how a sum over them becomes one
// over the row, the same for every lane.
struct along_row {
    template <class B, class F>
    RECTIFIED_INLINE static B combined(const B &lanes, F f) {
        using T = typename B::scalar;
        T all[B::lanes];
        store(all, lanes);
        T result = all[0];
        for (int i = 1; i < B::lanes; ++i) result = f(result, all[i]);
        return B(result);
    }
    template <class B>
    RECTIFIED_INLINE static B largest(const B &x) {
        return combined(x, [](auto a, auto b) { return a > b ? a : b; });
    }
    template <class D>
    RECTIFIED_INLINE static pair<D> sum(const pair<D> &x) {
        double high[D::lanes], low[D::lanes];
        store(high, x.high);
        store(low, x.low);
        double all = high[0], rest = low[0];
        for (int i = 1; i < D::lanes; ++i) {
            const double next = all + high[i], part = next - all;
            rest += (all - (next - part)) + (high[i] - part) + low[i];
            all = next;
        }
        return {D(all), D(rest)};
    }
    template <class I>
    RECTIFIED_INLINE static bool any(const I &condition) {
        return condition.part[0][0] != 0;
    }
};

struct row_per_lane {
    template <class B>
    RECTIFIED_INLINE static B largest(const B &x) {
        return x;
    }
    template <class D>
    RECTIFIED_INLINE static pair<D> sum(const pair<D> &x) {
        return x;
    }
    template <class I>
    RECTIFIED_INLINE static bool any(const I &condition) {
        typename I::scalar lanes[I::lanes], found = 0;
        store(lanes, condition);
        for (auto lane : lanes) found |= lane;
        return found != 0;
    }
};

// ---- rows that lie one after the other, turned so that each lane has one -----------------------------------------------

template <class T>
struct square {
    using B = batch<T, 1>;
    static constexpr int lanes = B::lanes;
    B row[lanes];

    // Rows of the first and of the second half in turn, and their numbers in turn too, as often as it takes to halve the
    // rows to one.
    RECTIFIED_INLINE void transpose() {
#if defined(__AVX2__) && !defined(__AVX512F__)
        if constexpr (std::is_same_v<T, float>) return transpose_by_halves();
#endif
        for (int size = 1; size < lanes; size *= 2) riffle(std::make_integer_sequence<int, lanes / 2>{});
    }

  private:
    template <int... I>
    RECTIFIED_INLINE void riffle(std::integer_sequence<int, I...>) {
        const square old = *this;
        ((row[2 * I] = in_turn<0>(old.row[I], old.row[lanes / 2 + I]),
          row[2 * I + 1] = in_turn<1>(old.row[I], old.row[lanes / 2 + I])),
         ...);
    }

#if defined(__AVX2__)
    // Half as many steps: most stay within the halves of a register.
    RECTIFIED_INLINE void transpose_by_halves() {
        const auto at = [&](int i) { return (__m256)row[i].part[0]; };
        __m256 a[8], b[8];
        for (int i = 0; i < 4; ++i) {
            a[2 * i] = _mm256_unpacklo_ps(at(2 * i), at(2 * i + 1));
            a[2 * i + 1] = _mm256_unpackhi_ps(at(2 * i), at(2 * i + 1));
        }
        for (int i = 0; i < 8; i += 4)
            for (int k = 0; k < 2; ++k) {
                b[i + 2 * k] = _mm256_shuffle_ps(a[i + k], a[i + 2 + k], 0x44);
                b[i + 2 * k + 1] = _mm256_shuffle_ps(a[i + k], a[i + 2 + k], 0xEE);
            }
        for (int i = 0; i < 4; ++i) {
            row[i].part[0] = (register_t<T>)_mm256_permute2f128_ps(b[i], b[i + 4], 0x20);
            row[i + 4].part[0] = (register_t<T>)_mm256_permute2f128_ps(b[i], b[i + 4], 0x31);
        }
    }
#endif
};

// So many rows of n numbers as a batch has lanes, to and from a tile: n batches. `beyond` tells how many numbers may be
// touched after the last row, which short rows need.
template <class B>
struct tile {
    using T = typename B::scalar;
    static constexpr int side = square<T>::lanes;

    static void load(const char *from, npy_intp row_step, npy_intp step, npy_intp n, npy_intp beyond, T *to) {
        const npy_intp squares = in_squares(row_step, step, n, beyond);
        for (npy_intp group = 0; group < B::lanes; group += side)
            for (npy_intp j = 0; j < squares; j += side) {
                const npy_intp at = first_of(j, n);
                square<T> s;
                for (int i = 0; i < side; ++i)
                    __builtin_memcpy(&s.row[i], from + (group + i) * row_step + at * sizeof(T), register_bytes);
                s.transpose();
                for (int i = 0; i < side && at + i < n; ++i) store(to + (at + i) * B::lanes + group, s.row[i]);
            }
        for (npy_intp j = squares; j < n; ++j)
            for (int i = 0; i < B::lanes; ++i) to[j * B::lanes + i] = read<T>(from + i * row_step + j * step);
    }

    // What is written after a short row is written again with the next one, in order.
    static void save(const T *from, char *to, npy_intp row_step, npy_intp step, npy_intp n, npy_intp beyond) {
        const npy_intp squares = in_squares(row_step, step, n, beyond);
        for (npy_intp group = 0; group < B::lanes; group += side)
            for (npy_intp j = 0; j < squares; j += side) {
                const npy_intp at = first_of(j, n);
                square<T> s;
                for (int i = 0; i < side; ++i)
                    s.row[i] = at + i < n
                                   ? rectified::RECTIFIED_TARGET::load<batch<T, 1>>(from + (at + i) * B::lanes + group)
                                   : batch<T, 1>(0);
                s.transpose();
                for (int i = 0; i < side; ++i)
                    __builtin_memcpy(to + (group + i) * row_step + at * sizeof(T), &s.row[i], register_bytes);
            }
        for (npy_intp j = squares; j < n; ++j)
            for (int i = 0; i < B::lanes; ++i)
                __builtin_memcpy(to + i * row_step + j * step, from + j * B::lanes + i, sizeof(T));
    }

  private:
    // The numbers of a row that go by squares: the others, few or far apart, go one by one.
    static npy_intp in_squares(npy_intp row_step, npy_intp step, npy_intp n, npy_intp beyond) {
        if (step != sizeof(T)) return 0;
        if (n < side) return n > 2 && row_step == npy_intp(n * sizeof(T)) && side - n <= beyond ? n : 0;
        return n % side > 2 ? n : n - n % side;
    }

    // The last square goes back to where it is whole.
    static npy_intp first_of(npy_intp j, npy_intp n) { return j + side <= n || n < side ? j : n - side; }
};

// ---- a row, part by part ---------------------------------------------------------------------------------------------

template <class C>
inline constexpr npy_intp part_of_row = 32768 / sizeof(C);  // stays in the first cache, or nearly

// One operand of a row: numbers of type S, as strips of type C for each part of the row. What fills up the last batch is
// `padding`.
template <class S, class B>
class row_operand {
    using C = typename B::scalar;

  public:
    row_operand(char *first, npy_intp step, npy_intp n, C padding) : first_(first), step_(step), n_(n), padding_(padding) {}

    bool is_direct() const { return std::is_same_v<S, C> && step_ == sizeof(S); }

    // Numbers from i on, to be read.
    strip<B> read_from(npy_intp i) {
        const npy_intp count = length(i);
        if (is_direct()) {
            const strip<B> found = place(i);
            if (found.rest) {
                for (C &lane : rest_) lane = padding_;
                __builtin_memcpy(rest_, found.first + found.count * B::lanes, count % B::lanes * sizeof(C));
            }
            return found;
        }
        S some[block + B::lanes];
        for (npy_intp k = 0; k < count; k += block) {
            const npy_intp few = count - k < block ? count - k : block;
            gather(first_ + (i + k) * step_, step_, few, some);
            for (npy_intp j = few; j % B::lanes; ++j) some[j] = S();
            for (npy_intp j = 0; j < few; j += B::lanes)
                store(room_ + k + j, rectified::RECTIFIED_TARGET::load<B>(some + j));
        }
        for (npy_intp j = count; j % B::lanes; ++j) room_[j] = padding_;
        return place(i);
    }

    // Places for numbers from i on, which `written` takes to the array.
    strip<B> place(npy_intp i) {
        const npy_intp count = length(i);
        C *const first = is_direct() ? reinterpret_cast<C *>(first_) + i : room_;
        const npy_intp whole = count / B::lanes, few = count % B::lanes;
        C *const rest = is_direct() ? rest_ : room_ + whole * B::lanes;
        return {first, B::lanes, whole, few ? rest : nullptr, few ? int(B::lanes - few) : 0};
    }

    void written(npy_intp i) {
        const npy_intp count = length(i);
        if (is_direct()) {
            const npy_intp few = count % B::lanes;
            __builtin_memcpy(reinterpret_cast<C *>(first_) + i + count - few, rest_, few * sizeof(C));
            return;
        }
        S some[block + B::lanes];
        for (npy_intp k = 0; k < count; k += block) {
            const npy_intp few = count - k < block ? count - k : block;
            for (npy_intp j = 0; j < few; j += B::lanes)
                store(some + j, rectified::RECTIFIED_TARGET::load<B>(room_ + k + j));
            scatter(some, few, first_ + (i + k) * step_, step_);
        }
    }

  private:
    npy_intp length(npy_intp i) const { return n_ - i < part_of_row<C> ? n_ - i : part_of_row<C>; }

    char *first_;
    npy_intp step_, n_;
    C padding_;
    alignas(64) C rest_[B::lanes] = {};
    alignas(64) C room_[part_of_row<C>];
};

// The operands of one row, as a fold's operation sees them.
template <class S, class B, int Inputs>
class one_row {
    using C = typename B::scalar;

  public:
    using policy = along_row;

    one_row(char *const *first, const npy_intp *steps, npy_intp n, const C (&padding)[Inputs])
        : one_row(first, steps, n, padding, std::make_integer_sequence<int, Inputs>{}) {}

    template <class F>
    void parts(F f) {
        for (npy_intp i = 0; i < n_; i += part_of_row<C>) f(i);
    }
    strip<B> in(int k, npy_intp i) { return in_[k].read_from(i); }
    strip<B> out(npy_intp i) { return out_.place(i); }
    void written(npy_intp i) { out_.written(i); }

    // Whether the numbers that were put out can be read again, with all their digits.
    bool keeps() const { return n_ <= part_of_row<C> || out_.is_direct(); }
    strip<B> kept(npy_intp i) { return n_ <= part_of_row<C> ? out_.place(i) : out_.read_from(i); }

  private:
    template <int... K>
    one_row(char *const *first, const npy_intp *steps, npy_intp n, const C (&padding)[Inputs],
            std::integer_sequence<int, K...>)
        : n_(n), in_{{first[K], steps[K], n, padding[K]}...}, out_(first[Inputs], steps[Inputs], n, C(0)) {}

    npy_intp n_;
    row_operand<S, B> in_[Inputs], out_;
};

// As many rows as a batch has lanes, each operand a strip.
template <class B, int Inputs>
struct many_rows {
    using policy = row_per_lane;
    strip<B> strips[Inputs + 1];

    template <class F>
    void parts(F f) {
        f(0);
    }
    strip<B> in(int k, npy_intp) { return strips[k]; }
    strip<B> out(npy_intp) { return strips[Inputs]; }
    void written(npy_intp) {}
    bool keeps() const { return true; }
    strip<B> kept(npy_intp) { return strips[Inputs]; }
};

inline constexpr npy_intp short_row = 64;

// The loop of an operation on rows: (n)->(n), or (n),(n)->(n). Op::run takes one_row or many_rows.
template <class Op, class S, class C>
struct row_loop {
    static constexpr int inputs = Op::inputs;
    using B = batch<C, registers_at_once>;
    using tiles = tile<B>;

    static void run(char **args, const npy_intp *dimensions, const npy_intp *steps, void *) {
        const default_environment environment;
        const npy_intp n = dimensions[1];
        const npy_intp *const core = steps + inputs + 1;
        if (n == 0) return;
        for_rows(dimensions[0], n, [=](npy_intp begin, npy_intp end) {
            npy_intp i = begin;
            if constexpr (std::is_same_v<S, C>) {
                bool beside = n > 1;  // the rows' numbers lie beside each other
                for (int k = 0; k <= inputs; ++k) beside = beside && steps[k] == sizeof(C);
                if (beside)
                    for (; i + B::lanes <= end; i += B::lanes) in_place(args, i, steps, core, n);
                else if (n <= short_row)
                    for (; i + B::lanes <= end; i += B::lanes) by_tiles(args, i, end, steps, core, n);
            }
            for (; i < end; ++i) single(args, i, steps, core, n);
        });
    }

  private:
    static void in_place(char **args, npy_intp i, const npy_intp *steps, const npy_intp *core, npy_intp n) {
        many_rows<B, inputs> rows;
        for (int k = 0; k <= inputs; ++k)
            rows.strips[k] = {reinterpret_cast<C *>(args[k] + i * steps[k]), core[k] / npy_intp(sizeof(C)), n};
        Op::template run<B>(rows);
    }

    static void by_tiles(char **args, npy_intp i, npy_intp end, const npy_intp *steps, const npy_intp *core, npy_intp n) {
        alignas(64) C room[inputs + 1][short_row * B::lanes];
        const npy_intp beyond = (end - i - B::lanes) * n;
        many_rows<B, inputs> rows;
        for (int k = 0; k <= inputs; ++k) {
            rows.strips[k] = {room[k], B::lanes, n};
            if (k < inputs) tiles::load(args[k] + i * steps[k], steps[k], core[k], n, beyond, room[k]);
        }
        Op::template run<B>(rows);
        tiles::save(room[inputs], args[inputs] + i * steps[inputs], steps[inputs], core[inputs], n, beyond);
    }

    static void single(char **args, npy_intp i, const npy_intp *steps, const npy_intp *core, npy_intp n) {
        char *first[inputs + 1];
        for (int k = 0; k <= inputs; ++k) first[k] = args[k] + i * steps[k];
        C padding[inputs];
        for (int k = 0; k < inputs; ++k) padding[k] = Op::template padding<C>(k);
        one_row<S, B, inputs> row(first, core, n, padding);
        Op::template run<B>(row);
    }
};

// body(begin, end) for parts of so many rows of n numbers.
template <class F>
void for_rows(npy_intp rows, npy_intp n, F body) {
    constexpr npy_intp worth_splitting = 1 << 18, part = 1 << 16;
    const npy_intp grain = n < part ? part / (n > 0 ? n : 1) : 1;
    if (rows * n < worth_splitting)
        body(0, rows);
    else
        in_parallel(rows, grain, body);
}

}  // namespace rectified::RECTIFIED_TARGET
