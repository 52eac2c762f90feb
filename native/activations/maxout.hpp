// The largest of a group of numbers.
#pragma once

#include "../fold.hpp"
#include "../packed.hpp"
#include "../rows.hpp"

namespace rectified::RECTIFIED_TARGET {

// The running winner of many groups, side by side, and which piece it is. Ties go to the first; NaN wins over all numbers.
template <class B>
struct winner {
    using I = typename B::integer;
    B value;
    I piece;

    RECTIFIED_INLINE static winner first(const B &x) { return {x, I(0)}; }

    RECTIFIED_INLINE void challenge(const B &x, int number) {
        const I larger = select(x > value, I(-1), select(x == x, I(0), I(-1)));
        const I wins = select(value == value, larger, I(0));
        value = select(wins, x, value);
        piece = select(wins, I(number), piece);
    }

    // The derivative by one piece; NaN by each piece of a group that has one.
    RECTIFIED_INLINE B selects(int number) const {
        return select(value == value, select(piece == I(number), B(1), B(0)), value);
    }
};

// Numbers of groups: groups by pieces by neighbours, whatever their strides. Counted without the pieces, in C order.
template <class S>
struct groups {
    char *first;
    npy_intp step, piece_step, neighbour_step, neighbours;

    void gather_piece(npy_intp piece, npy_intp from, npy_intp count, S *buffer) const {
        runs(piece, from, count,
             [&](char *at, npy_intp along, npy_intp begin, npy_intp few) { gather(at, along, few, buffer + begin); });
    }
    void scatter_piece(const S *values, npy_intp piece, npy_intp from, npy_intp count) const {
        runs(piece, from, count,
             [&](char *at, npy_intp along, npy_intp begin, npy_intp few) { scatter(values + begin, few, at, along); });
    }

  private:
    template <class F>
    void runs(npy_intp piece, npy_intp from, npy_intp count, F f) const {
        char *const base = first + piece * piece_step;
        if (neighbours == 1) return f(base + from * step, step, 0, count);
        for (npy_intp begin = 0; begin < count;) {
            const npy_intp group = (from + begin) / neighbours, place = (from + begin) % neighbours;
            const npy_intp few = neighbours - place < count - begin ? neighbours - place : count - begin;
            f(base + group * step + place * neighbour_step, neighbour_step, begin, few);
            begin += few;
        }
    }
};

// The loops work on blocks of groups, piece by piece, so that a piece's neighbours in memory are neighbours in a batch.
template <class S>
struct maxout_loops {
    using C = std::conditional_t<std::is_same_v<S, double>, double, float>;
    using B = batch<C, 1>;
    using I = typename B::integer;
    static constexpr int batches = block / B::lanes;

    struct winners {
        winner<B> in[batches];

        winners(const groups<S> &from, npy_intp pieces, npy_intp i, npy_intp count) {
            S buffer[block] = {};
            if (pieces == 0)  // the largest of nothing
                for (auto &found : in) found = winner<B>::first(B(std::numeric_limits<C>::quiet_NaN()));
            for (int j = 0; j < pieces; ++j) {
                from.gather_piece(j, i, count, buffer);
                for (npy_intp b = 0; b * B::lanes < count; ++b) {
                    const B x = load<B>(buffer + b * B::lanes);
                    if (j == 0)
                        in[b] = winner<B>::first(x);
                    else
                        in[b].challenge(x, j);
                }
            }
        }
    };

    // body(from, count) for blocks of groups.
    template <class F>
    static void for_blocks(npy_intp count, npy_intp pieces, F body) {
        for_rows((count + block - 1) / block, block * pieces, [=](npy_intp begin, npy_intp end) {
            for (npy_intp i = begin * block; i < count && i < end * block; i += block)
                body(i, count - i < block ? count - i : block);
        });
    }

    struct value {  // (k)->()
        static void run(char **args, const npy_intp *dimensions, const npy_intp *steps, void *) {
            const default_environment environment;
            const npy_intp pieces = dimensions[1];
            const groups<S> in{args[0], steps[0], steps[2], 0, 1};
            if constexpr (std::is_same_v<S, C>)
                if (are_pairs(in, pieces) && steps[1] == sizeof(S)) {
                    const S *const from = reinterpret_cast<const S *>(args[0]);
                    S *const to = reinterpret_cast<S *>(args[1]);
                    return for_rows(dimensions[0], 2,
                                    [=](npy_intp i, npy_intp end) { largest_of_pairs(from, to, i, end); });
                }
            for_blocks(dimensions[0], pieces, [=](npy_intp i, npy_intp count) {
                const winners found(in, pieces, i, count);
                S buffer[block];
                for (npy_intp b = 0; b * B::lanes < count; ++b) store(buffer + b * B::lanes, found.in[b].value);
                scatter(buffer, count, args[1] + i * steps[1], steps[1]);
            });
        }
    };

    struct derivative {  // (k)->(k)
        static void run(char **args, const npy_intp *dimensions, const npy_intp *steps, void *) {
            const default_environment environment;
            const npy_intp pieces = dimensions[1];
            const groups<S> in{args[0], steps[0], steps[2], 0, 1}, out{args[1], steps[1], steps[3], 0, 1};
            for_blocks(dimensions[0], pieces, [=](npy_intp i, npy_intp count) {
                const winners found(in, pieces, i, count);
                S buffer[block];
                for (int j = 0; j < pieces; ++j) {
                    for (npy_intp b = 0; b * B::lanes < count; ++b) store(buffer + b * B::lanes, found.in[b].selects(j));
                    out.scatter_piece(buffer, j, i, count);
                }
            });
        }
    };

    struct backward {  // (),(k)->(k)
        static void run(char **args, const npy_intp *dimensions, const npy_intp *steps, void *) {
            const default_environment environment;
            const npy_intp pieces = dimensions[1];
            const groups<S> in{args[1], steps[1], steps[3], 0, 1}, out{args[2], steps[2], steps[4], 0, 1};
            if constexpr (std::is_same_v<S, C>)
                if (are_pairs(in, pieces) && are_pairs(out, pieces) && steps[0] == sizeof(S)) {
                    const S *const dy = reinterpret_cast<const S *>(args[0]), *const x =
                                                                                  reinterpret_cast<const S *>(args[1]);
                    S *const dx = reinterpret_cast<S *>(args[2]);
                    return for_rows(dimensions[0], 2, [=](npy_intp i, npy_intp end) { back_to_pairs(dy, x, dx, i, end); });
                }
            for_blocks(dimensions[0], pieces, [=](npy_intp i, npy_intp count) {
                const winners found(in, pieces, i, count);
                S buffer[block], dy[block] = {};
                gather(args[0] + i * steps[0], steps[0], count, dy);
                for (int j = 0; j < pieces; ++j) {
                    for (npy_intp b = 0; b * B::lanes < count; ++b)
                        store(buffer + b * B::lanes, load<B>(dy + b * B::lanes) * found.in[b].selects(j));
                    out.scatter_piece(buffer, j, i, count);
                }
            });
        }
    };

    struct jvp {  // (k),(k)->()
        static void run(char **args, const npy_intp *dimensions, const npy_intp *steps, void *) {
            const default_environment environment;
            const npy_intp pieces = dimensions[1];
            const groups<S> v{args[0], steps[0], steps[3], 0, 1}, in{args[1], steps[1], steps[4], 0, 1};
            for_blocks(dimensions[0], pieces, [=](npy_intp i, npy_intp count) {
                const winners found(in, pieces, i, count);
                S some[block] = {}, buffer[block];
                for (npy_intp b = 0; b * B::lanes < count; ++b) store(buffer + b * B::lanes, found.in[b].value);
                for (int j = 0; j < pieces; ++j) {
                    v.gather_piece(j, i, count, some);
                    for (npy_intp b = 0; b * B::lanes < count; ++b) {
                        const auto &here = found.in[b];
                        const B before = load<B>(buffer + b * B::lanes);
                        const B moved = select(here.piece == I(j), load<B>(some + b * B::lanes), before);
                        store(buffer + b * B::lanes, select(here.value == here.value, moved, here.value));
                    }
                }
                scatter(buffer, count, args[2] + i * steps[2], steps[2]);
            });
        }
    };

    // How many bits tell one of so many pieces.
    static int bits_of(npy_intp pieces) {
        int bits = 0;
        while (npy_intp(1) << bits < pieces) ++bits;
        return bits;
    }

    struct forward_packed {  // (n,k,c)->(n,c),(m)
        static void run(char **args, const npy_intp *dimensions, const npy_intp *steps, void *) {
            const default_environment environment;
            const npy_intp pieces = dimensions[2], neighbours = dimensions[3];
            const npy_intp *const core = steps + 3;
            const int bits = bits_of(pieces);
            for (npy_intp turn = 0; turn < dimensions[0]; ++turn) {
                const groups<S> in{args[0] + turn * steps[0], core[0], core[1], core[2], neighbours};
                const groups<S> out{args[1] + turn * steps[1], core[3], 0, core[4], neighbours};
                char *const packed = args[2] + turn * steps[2];
                const npy_intp step = core[5];
                for_blocks(dimensions[1] * neighbours, pieces, [=](npy_intp i, npy_intp count) {
                    const winners found(in, pieces, i, count);
                    S buffer[block];
                    typename I::scalar piece[block];
                    for (npy_intp b = 0; b < batches; ++b) {
                        const bool counts = b * B::lanes < count;
                        store(buffer + b * B::lanes, counts ? found.in[b].value : B(0));
                        store(piece + b * B::lanes, counts ? found.in[b].piece : I(0));
                    }
                    out.scatter_piece(buffer, 0, i, count);
                    for (npy_intp k = count; k < block; ++k) piece[k] = 0;
                    char *to = packed + i / 8 * bits * step;
                    npy_intp bytes = (count * bits + 7) / 8;
                    for (npy_intp k = 0; bytes > 0; k += 8) {
                        std::uint64_t word = 0;
                        for (int one = 0; one < 8; ++one) word |= std::uint64_t(piece[k + one]) << (one * bits);
                        for (int byte = 0; byte < bits && bytes > 0; ++byte, --bytes, to += step)
                            *to = static_cast<char>(word >> (8 * byte));
                    }
                });
            }
        }
    };

    struct backward_packed {  // (n,c),(m)->(n,k,c)
        static void run(char **args, const npy_intp *dimensions, const npy_intp *steps, void *) {
            const default_environment environment;
            const npy_intp neighbours = dimensions[2], pieces = dimensions[4];
            const npy_intp *const core = steps + 3;
            const int bits = bits_of(pieces);
            for (npy_intp turn = 0; turn < dimensions[0]; ++turn) {
                const groups<S> in{args[0] + turn * steps[0], core[0], 0, core[1], neighbours};
                const groups<S> out{args[2] + turn * steps[2], core[3], core[4], core[5], neighbours};
                const char *const packed = args[1] + turn * steps[1];
                const npy_intp step = core[2];
                for_blocks(dimensions[1] * neighbours, pieces, [=](npy_intp i, npy_intp count) {
                    S dy[block] = {}, buffer[block];
                    in.gather_piece(0, i, count, dy);
                    typename I::scalar piece[block] = {};
                    const char *from = packed + i / 8 * bits * step;
                    npy_intp bytes = (count * bits + 7) / 8;
                    for (npy_intp k = 0; bytes > 0; k += 8) {
                        std::uint64_t word = 0;
                        for (int byte = 0; byte < bits && bytes > 0; ++byte, --bytes, from += step)
                            word |= std::uint64_t(static_cast<unsigned char>(*from)) << (8 * byte);
                        for (int one = 0; one < 8; ++one) piece[k + one] = word >> (one * bits) & ((1u << bits) - 1);
                    }
                    for (int j = 0; j < pieces; ++j) {
                        for (npy_intp b = 0; b * B::lanes < count; ++b)
                            store(buffer + b * B::lanes,
                                  load<B>(dy + b * B::lanes) * select(load<I>(piece + b * B::lanes) == I(j), B(1), B(0)));
                        out.scatter_piece(buffer, j, i, count);
                    }
                });
            }
        }
    };

  private:
    // The most common groups: two neighbours, taken apart register by register.
    static bool are_pairs(const groups<S> &in, npy_intp pieces) {
        return pieces == 2 && in.piece_step == sizeof(S) && in.step == 2 * sizeof(S);
    }

    struct pairs {
        B first, second;

        RECTIFIED_INLINE explicit pairs(const C *from)
            : first(every_other<0>(load<B>(from), load<B>(from + B::lanes))),
              second(every_other<1>(load<B>(from), load<B>(from + B::lanes))) {}

        RECTIFIED_INLINE B largest() const {
            return select(second > first, second, select(second == second, first, second));
        }
    };

    static void largest_of_pairs(const C *in, C *out, npy_intp i, npy_intp end) {
        for (; i + B::lanes <= end; i += B::lanes) store(out + i, pairs(in + 2 * i).largest());
        if (i == end) return;
        C some[2 * B::lanes] = {}, found[B::lanes];
        for (npy_intp k = 0; k < 2 * (end - i); ++k) some[k] = in[2 * i + k];
        largest_of_pairs(some, found, 0, B::lanes);
        for (npy_intp k = 0; k < end - i; ++k) out[i + k] = found[k];
    }

    static void back_to_pairs(const C *dy, const C *x, C *dx, npy_intp i, npy_intp end) {
        for (; i + B::lanes <= end; i += B::lanes) {
            const pairs in(x + 2 * i);
            const B largest = in.largest(), gradient = load<B>(dy + i);
            const B second = select(in.second > in.first, B(1), B(0)), first = B(1) - second;
            const B to_first = gradient * select(largest == largest, first, largest);
            const B to_second = gradient * select(largest == largest, second, largest);
            store(dx + 2 * i, in_turn<0>(to_first, to_second));
            store(dx + 2 * i + B::lanes, in_turn<1>(to_first, to_second));
        }
        if (i == end) return;
        C gradient[B::lanes] = {}, some[2 * B::lanes] = {}, found[2 * B::lanes];
        for (npy_intp k = 0; k < end - i; ++k) gradient[k] = dy[i + k];
        for (npy_intp k = 0; k < 2 * (end - i); ++k) some[k] = x[2 * i + k];
        back_to_pairs(gradient, some, found, 0, B::lanes);
        for (npy_intp k = 0; k < 2 * (end - i); ++k) dx[2 * i + k] = found[k];
    }
};

// NaN in a group makes its value NaN, and the derivative by each piece.
struct maxout : fold {
    static constexpr const char *name = "maxout";
    template <class S, class>
    using loops = fold_loops<typename maxout_loops<S>::value, typename maxout_loops<S>::derivative,
                             typename maxout_loops<S>::backward, typename maxout_loops<S>::jvp,
                             typename maxout_loops<S>::forward_packed, typename maxout_loops<S>::backward_packed>;
    static constexpr fold_operation operations[] = {{"", "(k)->()"},
                                                    {"derivative", "(k)->(k)"},
                                                    {"backward", "(),(k)->(k)"},
                                                    {"jvp", "(k),(k)->()"},
                                                    {"forward_packed", "(n,k,c)->(n,c),(m)", 2},
                                                    {"backward_packed", "(n,c),(m)->(n,k,c)", 1}};
};

}  // namespace rectified::RECTIFIED_TARGET
