#include "halves.hpp"

#include <iterator>
#include <utility>

#include "environment.hpp"
#include "memory.hpp"
#include "settle.hpp"
#include "threads.hpp"

namespace rectified::RECTIFIED_TARGET {
namespace {

// With another S, results are rounded to it, and what C leaves open is computed once more.
template <class Unit, class C, class S = C>
class rows_of_halves {
    using B = batch<C, 1>;
    static constexpr int inputs = Unit::inputs, outputs = Unit::outputs, answers = std::size(Unit::questions);
    static constexpr bool settles = !std::is_same_v<S, C>;

    struct operand {
        char *first;
        npy_intp row, step;
    };
    // What is computed at once: numbers of one row, or rows that are short.
    struct tile {
        npy_intp row, rows, column, columns;
    };
    struct alignas(64) buffer {
        C numbers[block + B::lanes];
    };
    struct buffers {
        buffer in[inputs], parameters[most_parameters], negative, answers[rows_of_halves::answers], out[outputs];
    };
    // Results that are open, with their operands, until there are enough of them to fill the registers of float64.
    struct open_results {
        npy_intp count = 0;
        buffer operands[inputs + most_parameters];
        char *places[outputs][block];
    };
    struct no_results {};
    using remembered = std::conditional_t<settles, open_results, no_results>;
    static constexpr npy_intp worth_settling = 64;

  public:
    rows_of_halves(char **args, const npy_intp *dimensions, const npy_intp *steps, const unit_work<C> &work)
        : work_(work), parameters_(work.value->parameters), rows_(dimensions[0]), columns_(dimensions[1]) {
        const npy_intp *core = steps + inputs + parameters_ + outputs;
        for (int k = 0; k < inputs; ++k) in_[k] = {*args++, *steps++, *core++};
        for (int k = 0; k < parameters_; ++k) given_[k] = {*args++, *steps++, 0};
        for (int k = 0; k < outputs; ++k) out_[k] = {*args++, *steps++, *core++};
        const operand &to = out_[0];
        if (columns_ == 1 || (rows_ > 1 && magnitude(to.row) < magnitude(to.step))) turn();
        if (follow_each_other()) {
            columns_ *= rows_;
            rows_ = 1;
        }
        is_large_ = bytes() >= 1 << 18;  // the first two caches do not hold it
        past_caches_ = goes_past_caches();
    }

    void run() const {
        if (rows_ == 0 || columns_ == 0) return;
        // A kernel takes a block at once, and whole batches of it: short rows are copied side by side.
        const bool are_short = rows_ > 1 && (columns_ < 32 || (columns_ < 128 && columns_ % B::lanes));
        const npy_intp at_once = are_short ? block / columns_ : 1;
        const npy_intp in_a_row = are_short ? 1 : (columns_ + block - 1) / block + past_caches_;
        const auto body = [=, this](npy_intp begin, npy_intp end) {
            buffers room;
            remembered open;
            for (npy_intp i = begin; i < end; ++i) {
                const npy_intp row = i / in_a_row * at_once;
                const npy_intp from = i % in_a_row * block - (are_short ? 0 : lacking(row));
                const npy_intp first = from > 0 ? from : 0, last = lesser(from + block, columns_);
                if (first < last) compute({row, lesser(at_once, rows_ - row), first, last - first}, room, open);
            }
            if constexpr (settles) settle(open);
            if (past_caches_) streamed();
        };
        const npy_intp tiles = (rows_ + at_once - 1) / at_once * in_a_row;
        if (rows_ * columns_ < work_.value->worth_splitting)
            body(0, tiles);
        else
            in_parallel(tiles, least_share / block, body);
    }

  private:
    const unit_work<C> &work_;
    const int parameters_;
    npy_intp rows_, columns_;
    operand in_[inputs], given_[most_parameters], out_[outputs];
    bool is_large_, past_caches_;

    static npy_intp magnitude(npy_intp step) { return step < 0 ? -step : step; }
    static npy_intp lesser(npy_intp a, npy_intp b) { return a < b ? a : b; }

    template <class F>
    void for_each(F f) {
        for (int k = 0; k < inputs; ++k) f(in_[k]);
        for (int k = 0; k < parameters_; ++k) f(given_[k]);
        for (int k = 0; k < outputs; ++k) f(out_[k]);
    }

    // Columns become rows.
    void turn() {
        const npy_intp columns = columns_;
        columns_ = rows_;
        rows_ = columns;
        for_each([](operand &each) { each = {each.first, each.step, each.row}; });
    }

    // Whether the rows follow each other as the numbers of one do.
    bool follow_each_other() {
        bool yes = true;
        for_each([&](operand &each) { yes = yes && each.row == columns_ * each.step; });
        return yes;
    }

    // Whether the results have no place in the caches, and are not in them already.
    bool goes_past_caches() {
        bool yes = !work_.stored->converts;
        for (const operand &to : out_) {
            yes = yes && to.step == sizeof(C);
            for (const operand &from : in_) yes = yes && from.first != to.first;
        }
        return yes && bytes() >= memory::streaming_bytes;
    }

    npy_intp bytes() const { return rows_ * columns_ * npy_intp(sizeof(C)) * (inputs + outputs); }

    // By how much a row's first part is shorter, so that the others begin where a register may be streamed to.
    npy_intp lacking(npy_intp row) const {
        if (!past_caches_) return 0;
        const npy_intp past = reinterpret_cast<npy_uintp>(out_[0].first + row * out_[0].row) % register_bytes;
        return past ? block - (register_bytes - past) / npy_intp(sizeof(C)) : 0;
    }

    void compute(const tile &here, buffers &room, remembered &open) const {
        const npy_intp count = here.rows * here.columns;
        const C *in[inputs];
        for (int k = 0; k < inputs; ++k) in[k] = read(in_[k], here, room.in[k]);
        bool fixed = true;
        for (int k = 0; k < parameters_; ++k)
            fixed = fixed && given_[k].step == 0 && (given_[k].row == 0 || here.rows == 1);
        const C *asked[1 + most_parameters];
        for (int k = 0; k < parameters_; ++k)
            asked[k + 1] = read(given_[k], fixed ? tile{here.row, 1, 0, 1} : here, room.parameters[k]);
        C *to[outputs];
        for (int k = 0; k < outputs; ++k) to[k] = is_beside(out_[k], here) ? at(out_[k], here) : room.out[k].numbers;
        for (int k = 0; k < answers; ++k) {
            constexpr auto &questions = Unit::questions;
            asked[0] = in[questions[k].input];
            if (questions[k].negated) {
                for (npy_intp i = 0; i < count; ++i) room.negative.numbers[i] = -asked[0][i];
                asked[0] = room.negative.numbers;
            }
            const work<C> &function = questions[k].wanted == its_slope ? *work_.slope : *work_.value;
            const auto kernel = fixed ? function.with_fixed_parameters : function.with_arrays;
            // So much at a time that the processor fetches what is needed next without waiting for it.
            const bool fetches = is_large_ && k == 0;
            const npy_intp few = fetches ? block / 4 : count;
            for (npy_intp i = 0; i < count; i += few) {
                if (fetches) fetch(in, to, i, lesser(few, count - i));
                const C *from[1 + most_parameters];
                for (int p = 0; p <= parameters_; ++p) from[p] = asked[p] + (p && fixed ? 0 : i);
                kernel(from, room.answers[k].numbers + i, lesser(few, count - i), false);
            }
        }
        combine(in, room.answers, to, count, std::make_integer_sequence<int, inputs>{},
                std::make_integer_sequence<int, answers>{}, std::make_integer_sequence<int, outputs>{});
        if constexpr (settles) {
            for (int k = 0; k < outputs; ++k) round(to[k], k, here, in, asked + 1, fixed, open);
            if (open.count >= worth_settling) settle(open);
        } else {
            for (int k = 0; k < outputs; ++k)
                if (to[k] == room.out[k].numbers) write(to[k], out_[k], here);
        }
    }

    // Rounds an output's results, and remembers which are open.
    void round(const C *results, int output, const tile &here, const C *const *in, const C *const *parameters, bool fixed,
               open_results &open) const {
        S rounded[block + B::lanes];
        npy_intp found[block];
        const npy_intp few = round_and_list_open(results, here.rows * here.columns, rounded, found);
        const operand &to = out_[output];
        by_rows(to, here, [&](npy_intp i, char *first, npy_intp count) { scatter(rounded + i, count, first, to.step); });
        if (open.count + few > block) settle(open);
        for (npy_intp j = 0; j < few; ++j, ++open.count) {
            const npy_intp i = found[j], row = here.row + i / here.columns, column = here.column + i % here.columns;
            for (int k = 0; k < inputs; ++k) open.operands[k].numbers[open.count] = in[k][i];
            for (int k = 0; k < parameters_; ++k)
                open.operands[inputs + k].numbers[open.count] = parameters[k][fixed ? 0 : i];
            for (int k = 0; k < outputs; ++k)
                open.places[k][open.count] = out_[k].first + row * out_[k].row + column * out_[k].step;
        }
    }

    // Compute them once more, as rows of one number each.
    [[gnu::noinline]] void settle(open_results &open) const {
        S operands[inputs + most_parameters][block + B::lanes], results[outputs][block];
        constexpr int most = inputs + most_parameters + outputs;
        char *args[most];
        npy_intp steps[most + inputs + outputs] = {};
        const npy_intp dimensions[] = {open.count, 1};
        const int given = inputs + parameters_;
        for (int k = 0; k < given; ++k) {
            args[k] = reinterpret_cast<char *>(operands[k]);
            stored_as<S, C>::write(open.operands[k].numbers, open.count, args[k], sizeof(S));
        }
        for (int k = 0; k < outputs; ++k) args[given + k] = reinterpret_cast<char *>(results[k]);
        for (int k = 0; k < given + outputs; ++k) steps[k] = sizeof(S);
        rows_of_halves<Unit, double>(args, dimensions, steps, *work_.sure).run();
        for (int k = 0; k < outputs; ++k)
            for (npy_intp j = 0; j < open.count; ++j) __builtin_memcpy(open.places[k][j], results[k] + j, sizeof(S));
        open.count = 0;
    }

    // What a kernel's results are combined with comes from memory while it computes. Not inlined, GCC takes this for
    // nothing.
    RECTIFIED_INLINE void fetch(const C *const *in, C *const *to, npy_intp from, npy_intp count) const {
        constexpr npy_intp line = 64 / sizeof(C);
        for (npy_intp i = from; i < from + count; i += line) {
            for (int k = 0; k < inputs; ++k) __builtin_prefetch(in[k] + i);
            for (int k = 0; k < outputs && !past_caches_; ++k) __builtin_prefetch(to[k] + i, 1);
        }
    }

    static C *at(const operand &of, const tile &here) {
        return reinterpret_cast<C *>(of.first + here.row * of.row + here.column * of.step);
    }

    static bool is_one_row(const operand &of, const tile &here) {
        return here.rows == 1 || of.row == here.columns * of.step;
    }
    bool is_beside(const operand &of, const tile &here) const {
        return !work_.stored->converts && of.step == sizeof(C) && is_one_row(of, here);
    }

    // f(numbers, place of the first, how many) for what lies evenly spaced.
    template <class F>
    static void by_rows(const operand &of, const tile &here, F f) {
        char *const first = reinterpret_cast<char *>(at(of, here));
        if (is_one_row(of, here)) return f(0, first, here.rows * here.columns);
        for (npy_intp i = 0; i < here.rows; ++i) f(i * here.columns, first + i * of.row, here.columns);
    }

    const C *read(const operand &of, const tile &here, buffer &room) const {
        if (is_beside(of, here) || (here.rows == 1 && here.columns == 1 && !work_.stored->converts)) return at(of, here);
        by_rows(of, here, [&](npy_intp i, const char *from, npy_intp count) {
            work_.stored->read(from, of.step, count, room.numbers + i);
        });
        return room.numbers;
    }

    void write(const C *numbers, const operand &of, const tile &here) const {
        by_rows(of, here,
                [&](npy_intp i, char *to, npy_intp count) { work_.stored->write(numbers + i, count, to, of.step); });
    }

    template <int... I, int... A, int... O>
    void combine(const C *const *in, const buffer *answers, C *const *out, npy_intp count, std::integer_sequence<int, I...>,
                 std::integer_sequence<int, A...>, std::integer_sequence<int, O...>) const {
        const C *const from[] = {in[I]..., answers[A].numbers...};
        C *const to[] = {out[O]...};
        const bool past_caches[] = {(past_caches_ && reinterpret_cast<npy_uintp>(out[O]) % register_bytes == 0)...};
        npy_intp i = 0;
        // The buffers of what is rounded have room for a whole batch at their end.
        for (; settles ? i < count : i + B::lanes <= count; i += B::lanes) {
            const results<B, outputs> made = Unit::of(input<I>(from, i)..., answer<A>(from, i)...);
            ((past_caches[O] ? stream(to[O] + i, made.of[O]) : store(to[O] + i, made.of[O])), ...);
        }
        for (; i < count; ++i) {
            const results<C, outputs> made = Unit::of(from[I][i]..., from[inputs + A][i]...);
            ((to[O][i] = made.of[O]), ...);
        }
    }

    // In bfloat16's range a product of two of the factors may vanish that three would not, and an answer may lack digits:
    // so small a factor is taken for NaN, which is open.
    RECTIFIED_INLINE static B factor(const B &number, const B &where_not_0) {
        if constexpr (std::is_same_v<S, bfloat16>) {
            const auto lost = (abs(number) < B(0x1p-50f)) & (abs(where_not_0) > B(0));
            return select(lost, B(std::numeric_limits<C>::quiet_NaN()), number);
        } else {
            return number;
        }
    }
    template <int I>
    RECTIFIED_INLINE static B input(const C *const *from, npy_intp i) {
        const B number = load<B>(from[I] + i);
        return factor(number, number);
    }
    template <int A>
    RECTIFIED_INLINE static B answer(const C *const *from, npy_intp i) {
        return factor(load<B>(from[inputs + A] + i), load<B>(from[Unit::questions[A].input] + i));
    }
};

}  // namespace

template <class Unit, class C>
void unit_loop(char **args, const npy_intp *dimensions, const npy_intp *steps, void *work) {
    const default_environment environment;
    rows_of_halves<Unit, C>(args, dimensions, steps, *static_cast<const unit_work<C> *>(work)).run();
}

template <class Unit, class S>
void settled_unit_loop(char **args, const npy_intp *dimensions, const npy_intp *steps, void *work) {
    const default_environment environment;
    const auto &quick = *static_cast<const unit_work<float> *>(work);
    if (suit_float32<S>(args + Unit::inputs, steps + Unit::inputs, quick.value->parameters))
        rows_of_halves<Unit, float, S>(args, dimensions, steps, quick).run();
    else
        rows_of_halves<Unit, double>(args, dimensions, steps, *quick.sure).run();
}

#define RECTIFIED_SETTLED_UNIT(Unit)                                                                  \
    template void settled_unit_loop<Unit, half>(char **, const npy_intp *, const npy_intp *, void *); \
    template void settled_unit_loop<Unit, bfloat16>(char **, const npy_intp *, const npy_intp *, void *);
RECTIFIED_SETTLED_UNIT(gated)
RECTIFIED_SETTLED_UNIT(gated_backward)

#define RECTIFIED_UNIT(Unit)                                                                   \
    template void unit_loop<Unit, float>(char **, const npy_intp *, const npy_intp *, void *); \
    template void unit_loop<Unit, double>(char **, const npy_intp *, const npy_intp *, void *);
RECTIFIED_UNIT(gated)
RECTIFIED_UNIT(gated_backward)
RECTIFIED_UNIT(gated_jvp)
RECTIFIED_UNIT(doubled)
RECTIFIED_UNIT(doubled_backward)

}  // namespace rectified::RECTIFIED_TARGET
