// Rows of numbers for the loops of folds: where each number lies, and how rows are split over threads.
#pragma once

#include "environment.hpp"
#include "fold.hpp"
#include "power.hpp"
#include "storage.hpp"
#include "threads.hpp"

namespace rectified::RECTIFIED_TARGET {

template <class C>
using row_batch = batch<C, 1>;  // what of a row is computed at once

// Numbers as batches side by side; and one more elsewhere, if there is a rest.
template <class B>
struct strip {
    using T = typename B::scalar;
    T *first;
    npy_intp count;
    T *rest = nullptr;
    int idle = 0;  // lanes of the rest that are there to fill it up
};

// f(numbers, places...) for the batches that lie side by side, and then for the rest.
template <class F, class B, class... Strips>
RECTIFIED_INLINE void by_stretches(F f, const strip<B> &strip, const Strips &...strips) {
    bool rest = strip.count == 0;
    do f(rest ? B::lanes : strip.count * B::lanes, rest ? strip.rest : strip.first, (rest ? strips.rest : strips.first)...);
    while (!rest && (rest = strip.rest));
}

// f with a place in each strip, batch by batch; all have as many. Short loops do so many times as much at a time.
template <int Times = 1, class F, class B, class... Strips>
RECTIFIED_INLINE void together(F f, const strip<B> &strip, const Strips &...strips) {
    by_stretches(
        [&](npy_intp numbers, auto *const... at) __attribute__((always_inline)) {
            const auto here = [&](npy_intp j) __attribute__((always_inline)) { f(at + j...); };
            npy_intp j = 0;
            if constexpr (Times > 1)
                for (; j + Times * B::lanes <= numbers; j += Times * B::lanes)
                    batch<char, Times>::visit([&](int i) __attribute__((always_inline)) { here(j + i * B::lanes); });
            for (; j < numbers; j += B::lanes) here(j);
        },
        strip, strips...);
}

// store(to, f(places...)) for all batches, so that none is stored across the end of a cache line, which would take longer.
// The first and the last lie where they lie: they are computed before others, with which they have numbers in common, are
// stored.
template <class F, class B, class... Strips>
RECTIFIED_INLINE void put_aligned(F f, const strip<B> &to, const Strips &...from) {
    using T = typename B::scalar;
    by_stretches(
        [&](npy_intp numbers, T *to, auto *const... from) __attribute__((always_inline)) {
            const npy_intp end = numbers - B::lanes,
                           head = -(reinterpret_cast<std::intptr_t>(to) / sizeof(T)) & (B::lanes - 1);
            const B first = f(from...), last = f(from + end...);
            for (npy_intp j = head; j <= end; j += B::lanes) store(to + j, f(from + j...));
            store(to, first);
            store(to + end, last);
        },
        to, from...);
}

// How far ahead places are fetched that are written to.
template <class T>
inline constexpr int written_soon = 1024 / sizeof(T);

// f in two steps, of which the second takes what the first gives: it is taken together with the first of the next
// batch, so that neither waits for the other.
template <class First, class Second, class B, class... Strips>
RECTIFIED_INLINE void staggered(First first, Second second, const strip<B> &strip, const Strips &...strips) {
    by_stretches(
        [&](npy_intp numbers, auto *at, auto *const... others) __attribute__((always_inline)) {
            auto held = first(at);
            npy_intp j = 0;
            for (; j + 2 * B::lanes < numbers; j += 2 * B::lanes) {
                const auto next = first(at + j + B::lanes), after = first(at + j + 2 * B::lanes);
                second(held, others + j...);
                second(next, others + j + B::lanes...);
                held = after;
            }
            for (; j + B::lanes < numbers; j += B::lanes) {
                const auto next = first(at + j + B::lanes);
                second(held, others + j...);
                held = next;
            }
            second(held, others + j...);
        },
        strip, strips...);
}

// ---- rows that lie one after the other, turned so that each lane has one -----------------------------------------------

// So many numbers of as many rows as a batch has lanes, from and to batches.
template <class T>
struct square {
    using B = batch<T, 1>;
    static constexpr int lanes = B::lanes;
#if defined(__AVX2__) && !defined(__AVX512F__)
    static constexpr int columns = 4;  // half a register of float32 is loaded to where it belongs
#else
    static constexpr int columns = lanes;
#endif

    RECTIFIED_INLINE static void to_batches(const T *rows, npy_intp step, T *batches) {
#if defined(__AVX2__) && !defined(__AVX512F__)
        if constexpr (std::is_same_v<T, float>) {
            __m256 a[4];
            for (int i = 0; i < 4; ++i) {
                const T *const upper = rows + i * step, *const lower = upper + 4 * step;
                a[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(upper)), _mm_loadu_ps(lower), 1);
            }
            transpose_halves(a);
            for (int i = 0; i < 4; ++i) _mm256_storeu_ps(batches + 8 * i, a[i]);
            return;
        }
#endif
        B row[lanes];
        for (int i = 0; i < lanes; ++i) row[i] = load<B>(rows + i * step);
        transpose(row);
        for (int i = 0; i < lanes; ++i) store(batches + i * lanes, row[i]);
    }

    RECTIFIED_INLINE static void to_rows(const T *batches, T *rows, npy_intp step) {
#if defined(__AVX2__) && !defined(__AVX512F__)
        if constexpr (std::is_same_v<T, float>) {
            __m256 a[4];
            for (int i = 0; i < 4; ++i) a[i] = _mm256_loadu_ps(batches + 8 * i);
            transpose_halves(a);
            for (int i = 0; i < 4; ++i) _mm_storeu_ps(rows + i * step, _mm256_castps256_ps128(a[i]));
            for (int i = 0; i < 4; ++i) _mm_storeu_ps(rows + (4 + i) * step, _mm256_extractf128_ps(a[i], 1));
            return;
        }
#endif
        B row[lanes];
        for (int i = 0; i < lanes; ++i) row[i] = load<B>(batches + i * lanes);
        transpose(row);
        for (int i = 0; i < lanes; ++i) store(rows + i * step, row[i]);
    }

  private:
    // Rows of the first and of the second half in turn, and their numbers in turn too, as often as it takes to halve the
    // rows to one.
    RECTIFIED_INLINE static void transpose(B (&row)[lanes]) {
        for (int size = 1; size < lanes; size *= 2) riffle(row, std::make_integer_sequence<int, lanes / 2>{});
    }

    template <int... I>
    RECTIFIED_INLINE static void riffle(B (&row)[lanes], std::integer_sequence<int, I...>) {
        B next[lanes];
        ((next[2 * I] = in_turn<0>(row[I], row[lanes / 2 + I]), next[2 * I + 1] = in_turn<1>(row[I], row[lanes / 2 + I])),
         ...);
        for (int i = 0; i < lanes; ++i) row[i] = next[i];
    }

#if defined(__AVX2__)
    RECTIFIED_INLINE static void transpose_halves(__m256 (&a)[4]) {
        const __m256 b[4] = {_mm256_unpacklo_ps(a[0], a[1]), _mm256_unpackhi_ps(a[0], a[1]), _mm256_unpacklo_ps(a[2], a[3]),
                             _mm256_unpackhi_ps(a[2], a[3])};
        for (int i = 0; i < 2; ++i) {
            a[2 * i] = _mm256_shuffle_ps(b[i], b[i + 2], 0x44);
            a[2 * i + 1] = _mm256_shuffle_ps(b[i], b[i + 2], 0xEE);
        }
    }
#endif
};

inline constexpr npy_intp short_row = 128;

// ---- a row, or as many as a batch has lanes, part by part --------------------------------------------------------------

// One operand. A part of it is a strip of batches, whose lanes are neighbours in a row, or each lane is a row of its own.
template <class C>
class row_operand {
  public:
    using B = row_batch<C>;
    static constexpr npy_intp room = 32768 / sizeof(C), part = room / 4;

    void set(char *first, npy_intp row_step, npy_intp step, npy_intp n, const storage<C> &stored, C padding, bool negated) {
        is_plain_ = !stored.converts && !negated && step == sizeof(C);
        array_ = first;
        row_step_ = row_step;
        step_ = step;
        n_ = n;
        stored_ = &stored;
        padding_ = padding;
        negated_ = negated;
    }

    // Rows from i on that are read, where `beyond` numbers may be touched after them.
    void go_to(npy_intp i, int rows, npy_intp beyond) {
        first_ = array_ + i * row_step_;
        rows_ = rows;
        beyond_ = beyond;
        read_ = -1;
    }

    bool converts() const { return stored_->converts; }
    bool is_plain() const { return is_plain_; }
    bool is_direct() const { return is_plain_ && rows_ == 0; }

    RECTIFIED_INLINE strip<B> read(npy_intp i, npy_intp count) {
        const strip<B> found = place(i, count);
        if (!is_direct())
            read_elsewhere(i, count, found);
        else if (found.rest)
            store(rest_, load_first(found.first + found.count * B::lanes, B::lanes - found.idle, B(padding_)));
        return found;
    }

    // Places for numbers from i on, which `written` takes to the array.
    RECTIFIED_INLINE strip<B> place(npy_intp i, npy_intp count) {
        if (rows_) return {room_, count};
        C *const first = is_plain_ ? reinterpret_cast<C *>(first_) + i : room_;
        const npy_intp whole = count / B::lanes, few = count % B::lanes;
        C *const rest = is_plain_ ? rest_ : room_ + whole * B::lanes;
        return {first, whole, few ? rest : nullptr, few ? int(B::lanes - few) : 0};
    }

    RECTIFIED_INLINE void written(npy_intp i, npy_intp count) {
        if (!is_direct()) return written_elsewhere(i, count);
        const int few = count % B::lanes;
        if (few) store_first(reinterpret_cast<C *>(first_) + i + count - few, few, load<B>(rest_));
    }

  private:
    [[gnu::noinline]] void read_elsewhere(npy_intp i, npy_intp count, const strip<B> &found) {
        if (read_ == i) return;
        read_ = i;
        if (rows_)
            turned(i, count);
        else
            stored_->read(first_ + i * step_, step_, count, room_);
        if (negated_) together([](C *at) __attribute__((always_inline)) { store(at, -load<B>(at)); }, found);
        for (int j = B::lanes - found.idle; found.rest && j < B::lanes; ++j) found.rest[j] = padding_;
    }

    [[gnu::noinline]] void written_elsewhere(npy_intp i, npy_intp count) {
        if (rows_)
            turned_back(i, count);
        else
            stored_->write(room_, count, first_ + i * step_, step_);
    }

    static constexpr int columns = square<C>::columns;

    bool is_beside() const { return row_step_ == sizeof(C) && !stored_->converts; }

    // Whether squares may be read and written where the rows are.
    bool are_in_place() const {
        return rows_ == B::lanes && !stored_->converts && step_ == sizeof(C) && row_step_ % sizeof(C) == 0 &&
               (n_ >= columns || (row_step_ == n_ * step_ && beyond_ >= columns));
    }

    // f(column) for all squares. The last goes back to where it is whole.
    template <class F>
    RECTIFIED_INLINE void by_squares(F f) const {
        for (npy_intp j = 0; j < n_; j += columns) f(j + columns <= n_ || n_ < columns ? j : n_ - columns);
    }

    [[gnu::noinline]] void turned(npy_intp i, npy_intp count) {
        if (is_beside()) {
            for (npy_intp j = 0; j < count; ++j)
                copy(first_ + (i + j) * step_, reinterpret_cast<char *>(room_ + j * B::lanes));
            return;
        }
        const C *from = reinterpret_cast<const C *>(first_);
        npy_intp step = row_step_ / npy_intp(sizeof(C));
        if (!are_in_place()) {
            from = waiting_;
            step = n_;
            if (row_step_ == n_ * step_ && step_ == stored_->size)
                stored_->read(first_, step_, rows_ * n_, waiting_);
            else
                for (int k = 0; k < rows_; ++k) stored_->read(first_ + k * row_step_, step_, n_, waiting_ + k * n_);
            for (npy_intp j = rows_ * n_; j < B::lanes * (n_ + 1); ++j) waiting_[j] = 0;
        }
        by_squares([&](npy_intp j) { square<C>::to_batches(from + j, step, room_ + j * B::lanes); });
    }

    // What is written after a short row is written again with the next one, in order.
    [[gnu::noinline]] void turned_back(npy_intp i, npy_intp count) {
        if (is_beside()) {
            for (npy_intp j = 0; j < count; ++j)
                copy(reinterpret_cast<const char *>(room_ + j * B::lanes), first_ + (i + j) * step_);
            return;
        }
        const bool in_place = are_in_place();
        C *const to = in_place ? reinterpret_cast<C *>(first_) : waiting_;
        const npy_intp step = in_place ? row_step_ / npy_intp(sizeof(C)) : n_;
        by_squares([&](npy_intp j) { square<C>::to_rows(room_ + j * B::lanes, to + j, step); });
        if (in_place) return;
        if (row_step_ == n_ * step_ && step_ == stored_->size)
            stored_->write(waiting_, rows_ * n_, first_, step_);
        else
            for (int k = 0; k < rows_; ++k) stored_->write(waiting_ + k * n_, n_, first_ + k * row_step_, step_);
    }

    void copy(const char *from, char *to) const {
        if (rows_ == B::lanes)
            __builtin_memcpy(to, from, B::lanes * sizeof(C));
        else
            __builtin_memcpy(to, from, rows_ * sizeof(C));
    }

    const storage<C> *stored_;
    char *array_, *first_;
    npy_intp row_step_, step_, n_, beyond_, read_;
    int rows_;  // 0 where lanes are neighbours in one
    C padding_;
    bool negated_, is_plain_;  // plain: contiguous numbers, as they are
    alignas(64) C rest_[B::lanes];
    alignas(64) C room_[room];
    alignas(64) C waiting_[B::lanes * (short_row + 1)];
};

// The operands of a fold's operation, as it sees them.
template <class C>
class row_group {
  public:
    using B = row_batch<C>;
    using operand = row_operand<C>;

    // Rows of up to so many bytes are turned, where they are plain; of others, those that are short.
    row_group(char *const *args, const npy_intp *steps, npy_intp n, const storage<C> &stored, int inputs, const C *padding,
              bool negated, std::size_t turned)
        : n_(n), inputs_(inputs) {
        bool beside = !stored.converts, plain = true;  // the rows' numbers lie beside each other, or those of a row do
        for (int k = 0; k <= inputs; ++k) {
            operands_[k].set(args[k], steps[k], steps[inputs + 1 + k], n, stored, k < inputs ? padding[k] : C(0),
                             negated && k == inputs - 1);
            beside = beside && steps[k] == sizeof(C);
            plain = plain && operands_[k].is_plain();
        }
        each_lane_a_row_ = beside || n <= (plain ? npy_intp(turned / sizeof(C)) : short_row);
        part_ = each_lane_a_row_ ? operand::room / B::lanes : operand::part;
    }

    // f() for all rows of some.
    template <class F>
    void for_each(npy_intp begin, npy_intp end, F f) {
        const npy_intp stride = each_lane_a_row_ ? B::lanes : 1;
        for (npy_intp i = begin; i < end; i += stride) {
            const npy_intp left = end - i;
            const int count = !each_lane_a_row_ ? 0 : left < stride ? int(left) : int(stride);
            for (int k = 0; k <= inputs_; ++k) operands_[k].go_to(i, count, (left - stride) * n_);
            f();
        }
    }

    template <class F>
    void parts(F f) {
        for (npy_intp i = 0; i < n_; i += part_) f(i);
    }
    // The last first, which may still be in a cache.
    template <class F>
    void parts_again(F f) {
        for (npy_intp i = (n_ - 1) / part_ * part_; i >= 0; i -= part_) f(i);
    }
    strip<B> in(int k, npy_intp i) { return operands_[k].read(i, length(i)); }
    strip<B> out(npy_intp i) { return operands_[inputs_].place(i, length(i)); }
    void written(npy_intp i) { operands_[inputs_].written(i, length(i)); }

    bool has_parts() const { return n_ > part_; }

    // Whether numbers that were put out are still there, with all their digits, when the next part is.
    bool keeps() const { return !has_parts() || operands_[inputs_].is_direct(); }
    bool each_lane_a_row() const { return each_lane_a_row_; }
    bool converts() const { return operands_[0].converts(); }  // from a shorter type

    // Over the whole row, the same for every lane of it.
    RECTIFIED_INLINE B largest(const B &x) const {
        return each_lane_a_row_ ? x : B(halved(x, [](auto a, auto b) { return a > b ? a : b; }));
    }
    template <class D>
    RECTIFIED_INLINE D sum(const D &x) const {
        return each_lane_a_row_ ? x : D(halved(x, [](auto a, auto b) { return a + b; }));
    }
    RECTIFIED_INLINE pair<B> sum(const pair<B> &x) const { return each_lane_a_row_ ? x : sum_of_lanes(x.high, x.low); }

    // float32, of float64.
    RECTIFIED_INLINE pair<B> sum_as_pair(const wide_of<B> &x) const {
        if (!each_lane_a_row_) return as_pair(halved(x, [](auto a, auto b) { return a + b; }));
        const B high = narrowed<B>(x);
        return {high, narrowed<B>(x - widened(high))};
    }

  private:
    npy_intp length(npy_intp i) const { return n_ - i < part_ ? n_ - i : part_; }

    // f of all lanes: of the upper and the lower half of them, until there is one.
    template <class T, int N, class F>
    RECTIFIED_INLINE static T halved(const batch<T, N> &x, F f) {
        if constexpr (N == 1) {
            return halved_within<T, batch<T, 1>::lanes / 2>(x.part[0], f);
        } else {
            using Half = batch<T, N / 2>;
            return halved(Half::each([&](int i) { return f(x.part[i], x.part[i + N / 2]); }), f);
        }
    }
    template <class T, int Size, class F>
    RECTIFIED_INLINE static T halved_within(const register_t<T> &x, F f) {
        constexpr int lanes = batch<T, 1>::lanes;
        const register_t<T> turned = [&]<int... I>(std::integer_sequence<int, I...>) {
            return __builtin_shufflevector(x, x, (I + Size) % lanes...);
        }(std::make_integer_sequence<int, lanes>{});
        const register_t<T> both = f(x, turned);
        if constexpr (Size > 1)
            return halved_within<T, Size / 2>(both, f);
        else
            return both[0];
    }

    RECTIFIED_INLINE static pair<B> as_pair(double x) {
        const float high = float(x);
        return {B(high), B(float(x - high))};
    }
    RECTIFIED_INLINE static pair<B> sum_of_lanes(const B &high, const B &low) {
        if constexpr (std::is_same_v<C, float>) {
            return as_pair(halved(widened(high) + widened(low), [](auto a, auto b) { return a + b; }));
        } else {
            double all[B::lanes], rest[B::lanes];
            store(all, high);
            store(rest, low);
            for (int size = B::lanes / 2; size > 0; size /= 2)
                for (int i = 0; i < size; ++i) {
                    const double a = all[i], b = all[i + size], sum = a + b, part = sum - a;
                    all[i] = sum;
                    rest[i] += rest[i + size] + ((a - (sum - part)) + (b - part));
                }
            return {B(all[0]), B(rest[0])};
        }
    }

    npy_intp n_, part_;
    int inputs_;
    bool each_lane_a_row_;
    operand operands_[3];
};

// body(begin, end) for parts of so many rows of n numbers.
template <class F>
void for_rows(npy_intp rows, npy_intp n, F body) {
    constexpr npy_intp worth_splitting = 1 << 18;
    const npy_intp grain = n < least_share ? least_share / (n > 0 ? n : 1) : 1;
    if (rows * n < worth_splitting)
        body(0, rows);
    else
        in_parallel(rows, grain, body);
}

// An operation on rows, (n)->(n) or (n),(n)->(n). The last input may be taken negated.
template <class C>
[[gnu::noinline]] void run_on_rows(char **args, const npy_intp *dimensions, const npy_intp *steps, const storage<C> &stored,
                                   int inputs, const C *padding, bool negated, std::size_t turned,
                                   void (*run)(row_group<C> &)) {
    const default_environment environment;
    const npy_intp n = dimensions[1];
    if (n == 0) return;
    for_rows(dimensions[0], n, [=, &stored](npy_intp begin, npy_intp end) {
        row_group<C> some(args, steps, n, stored, inputs, padding, negated, turned);
        some.for_each(begin, end, [&] { run(some); });
    });
}

// Op::run does it, and what fills up the last batch of an input is Op::padding. What it does once for each row takes as
// long as to turn rows of Op::turned bytes.
template <class Op, class C>
struct row_loop {
    static void run(char **args, const npy_intp *dimensions, const npy_intp *steps, void *stored) {
        C padding[Op::inputs];
        for (int k = 0; k < Op::inputs; ++k) padding[k] = Op::template padding<C>(k);
        run_on_rows<C>(
            args, dimensions, steps, *static_cast<const storage<C> *>(stored), Op::inputs, padding,
            requires { Op::negated; }, turned(), Op::template run<C>);
    }

  private:
    static constexpr std::size_t turned() {
        if constexpr (requires { Op::turned; })
            return Op::turned;
        else
            return short_row * sizeof(C);
    }
};

// The loops of operations on rows, of numbers that are stored as S and computed as C.
template <class S, class C, class... Ops>
struct row_loops : fold_loops<row_loop<Ops, C>...> {
    static constexpr const void *work = &stored_as<S, C>::way;
};

}  // namespace rectified::RECTIFIED_TARGET
