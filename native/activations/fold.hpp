// Folds: functions of a group of numbers, which NumPy hands over as generalized ufuncs.
#pragma once

#include "../blocks.hpp"
#include "../category.hpp"
#include "../element.hpp"
#include "../environment.hpp"

namespace rectified::RECTIFIED_TARGET {

template <class S>
class maxout_loops;

// The largest of a group; ties go to the first. NaN in a group makes its value NaN, and the derivative by each member.
struct maxout : fold {
    static constexpr const char *name = "maxout";
    template <class S>
    using loops = maxout_loops<S>;

    template <class B>
    RECTIFIED_INLINE static B larger(const B &best, const B &x) {
        return select(x > best, x, select(x == x, best, x));
    }

    // The running winner of many groups, side by side, and which piece it was; NaN wins over all and is piece -1.
    template <class B>
    struct winner {
        B value;
        typename B::integer piece;

        RECTIFIED_INLINE static winner first(const B &x) {
            using I = typename B::integer;
            return {x, select(x == x, I(0), I(-1))};
        }
        RECTIFIED_INLINE void challenge(const B &x, int number) {
            using I = typename B::integer;
            const I wins = select(value == value, I(x > value), I(0));
            const I lost = select(x == x, I(0), I(-1));
            value = select(wins | lost, x, value);
            piece = select(lost, I(-1), select(wins, I(number), piece));
        }
        // The derivative by one piece.
        RECTIFIED_INLINE B selects(int number) const {
            using I = typename B::integer;
            return select(piece == I(number), B(1), select(piece == I(-1), value, B(0)));
        }
    };
};

// The loops of maxout: blocks of groups, piece by piece, so that a piece's neighbours in memory are neighbours in a batch.
template <class S>
class maxout_loops {
    using B = batch<std::conditional_t<std::is_same_v<S, half>, float, S>, 1>;

  public:
    static void value(char **args, const npy_intp *dimensions, const npy_intp *steps, void *) {  // (k)->()
        const default_environment environment;
        const group in{args[0], steps[0], steps[2], dimensions[1]};
        if constexpr (std::is_same_v<S, typename B::scalar>)
            if (in.pieces == 2 && in.piece_step == sizeof(S) && in.step == 2 * sizeof(S) && steps[1] == sizeof(S))
                return of_pairs(reinterpret_cast<const S *>(args[0]), reinterpret_cast<S *>(args[1]), dimensions[0]);
        S best[block], piece[block] = {};
        for (S &nothing : best) nothing = std::numeric_limits<typename B::scalar>::quiet_NaN();  // of no pieces
        for (npy_intp i = 0; i < dimensions[0]; i += block) {
            const npy_intp count = at_most_block(dimensions[0] - i);
            if (in.pieces > 0) gather(in.at(i, 0), in.step, count, best);
            for (int j = 1; j < in.pieces; ++j) {
                gather(in.at(i, j), in.step, count, piece);
                for (npy_intp k = 0; k < count; k += B::lanes)
                    store(best + k, maxout::larger(load<B>(best + k), load<B>(piece + k)));
            }
            scatter(best, count, args[1] + i * steps[1], steps[1]);
        }
    }

    static void derivative(char **args, const npy_intp *dimensions, const npy_intp *steps, void *) {  // (k)->(k)
        const default_environment environment;
        const group in{args[0], steps[0], steps[2], dimensions[1]}, out{args[1], steps[1], steps[3], dimensions[1]};
        S buffer[block];
        for (npy_intp i = 0; i < dimensions[0]; i += block) {
            const npy_intp count = at_most_block(dimensions[0] - i);
            const winners found(in, i, count);
            for (int j = 0; j < out.pieces; ++j) {
                for (npy_intp b = 0; b * B::lanes < count; ++b) store(buffer + b * B::lanes, found.in[b].selects(j));
                scatter(buffer, count, out.at(i, j), out.step);
            }
        }
    }

    static void backward(char **args, const npy_intp *dimensions, const npy_intp *steps, void *) {  // (),(k)->(k)
        const default_environment environment;
        const group in{args[1], steps[1], steps[3], dimensions[1]}, out{args[2], steps[2], steps[4], dimensions[1]};
        S buffer[block], dy[block] = {};
        for (npy_intp i = 0; i < dimensions[0]; i += block) {
            const npy_intp count = at_most_block(dimensions[0] - i);
            const winners found(in, i, count);
            gather(args[0] + i * steps[0], steps[0], count, dy);
            for (int j = 0; j < out.pieces; ++j) {
                for (npy_intp b = 0; b * B::lanes < count; ++b)
                    store(buffer + b * B::lanes, load<B>(dy + b * B::lanes) * found.in[b].selects(j));
                scatter(buffer, count, out.at(i, j), out.step);
            }
        }
    }

  private:
    // The most common groups: two neighbours, taken apart register by register.
    static void of_pairs(const S *in, S *out, npy_intp count) {
        npy_intp i = 0;
        for (; i + B::lanes <= count; i += B::lanes) {
            const B a = load<B>(in + 2 * i), b = load<B>(in + 2 * i + B::lanes);
            store(out + i, maxout::larger(every_other<0>(a, b), every_other<1>(a, b)));
        }
        for (; i < count; ++i) {
            const S first = in[2 * i], second = in[2 * i + 1];
            out[i] = second > first ? second : second == second ? first : second;
        }
    }

    static constexpr int batches = block / B::lanes;

    struct group {
        char *first;
        npy_intp step, piece_step, pieces;

        char *at(npy_intp i, npy_intp piece) const { return first + i * step + piece * piece_step; }
    };

    struct winners {
        maxout::winner<B> in[batches];

        winners(const group &from, npy_intp i, npy_intp count) {
            S buffer[block] = {};
            for (int j = 0; j < from.pieces; ++j) {
                gather(from.at(i, j), from.step, count, buffer);
                for (npy_intp b = 0; b * B::lanes < count; ++b) {
                    const B x = load<B>(buffer + b * B::lanes);
                    if (j == 0)
                        in[b] = maxout::winner<B>::first(x);
                    else
                        in[b].challenge(x, j);
                }
            }
        }
    };

    static npy_intp at_most_block(npy_intp count) { return count < block ? count : block; }
};

}  // namespace rectified::RECTIFIED_TARGET
