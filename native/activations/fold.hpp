// Folds: functions of a group of numbers.
#pragma once

#include "../environment.hpp"
#include "../registry.hpp"

namespace rectified::RECTIFIED_TARGET {

// The largest of a group. NaN in a group makes its value NaN, and the derivative by each of its members.
struct maxout {
    static constexpr const char *name = "maxout";

    template <class T>
    static bool wins(T challenger, T best) {  // ties go to the first, NaN to the first NaN
        return challenger > best || (challenger != challenger && best == best);
    }
};

namespace fold {

template <class S>
S read(const char *from) {
    S value;
    __builtin_memcpy(&value, from, sizeof(S));
    return value;
}
template <class S>
void write(char *to, S value) {
    __builtin_memcpy(to, &value, sizeof(S));
}

// (k)->()
template <class S>
struct maxout_value {
    static void run(char **args, const npy_intp *dimensions, const npy_intp *steps, void *) {
        const default_environment environment;
        const npy_intp count = dimensions[0], pieces = dimensions[1], piece_step = steps[2];
        if (piece_step == sizeof(S) && steps[0] == 2 * piece_step && pieces == 2 && steps[1] == sizeof(S) &&
            args[0] != args[1]) {
            const S *const in = reinterpret_cast<const S *>(args[0]);
            S *const out = reinterpret_cast<S *>(args[1]);
            for (npy_intp i = 0; i < count; ++i) {
                const S first = in[2 * i], second = in[2 * i + 1];
                const S larger = second > first ? second : first;
                out[i] = second == second ? larger : second;
            }
            return;
        }
        for (npy_intp i = 0; i < count; ++i) {
            const char *in = args[0] + i * steps[0];
            S best = read<S>(in);
            for (npy_intp j = 1; j < pieces; ++j) {
                const S challenger = read<S>(in + j * piece_step);
                best = maxout::wins(challenger, best) ? challenger : best;
            }
            write(args[1] + i * steps[1], best);
        }
    }
};

// The place of the winner in a group; pieces where there is NaN.
template <class S>
npy_intp winner(const char *in, npy_intp pieces, npy_intp step) {
    npy_intp place = 0;
    S best = read<S>(in);
    bool ordered = best == best;
    for (npy_intp j = 1; j < pieces; ++j) {
        const S challenger = read<S>(in + j * step);
        ordered = ordered && challenger == challenger;
        if (challenger > best) best = challenger, place = j;
    }
    return ordered ? place : pieces;
}

// (k)->(k)
template <class S>
struct maxout_derivative {
    static void run(char **args, const npy_intp *dimensions, const npy_intp *steps, void *) {
        const default_environment environment;
        const npy_intp pieces = dimensions[1];
        for (npy_intp i = 0; i < dimensions[0]; ++i) {
            const npy_intp place = winner<S>(args[0] + i * steps[0], pieces, steps[2]);
            char *const out = args[1] + i * steps[1];
            for (npy_intp j = 0; j < pieces; ++j)
                write(out + j * steps[3], place == pieces ? S(__builtin_nan("")) : S(j == place));
        }
    }
};

// (),(k)->(k)
template <class S>
struct maxout_backward {
    static void run(char **args, const npy_intp *dimensions, const npy_intp *steps, void *) {
        const default_environment environment;
        const npy_intp pieces = dimensions[1];
        for (npy_intp i = 0; i < dimensions[0]; ++i) {
            const S dy = read<S>(args[0] + i * steps[0]);
            const npy_intp place = winner<S>(args[1] + i * steps[1], pieces, steps[3]);
            char *const out = args[2] + i * steps[2];
            for (npy_intp j = 0; j < pieces; ++j)
                write(out + j * steps[4], S(dy * (place == pieces ? S(__builtin_nan("")) : S(j == place))));
        }
    }
};

}  // namespace fold

}  // namespace rectified::RECTIFIED_TARGET
