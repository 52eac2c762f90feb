#include "measured.hpp"

#include <algorithm>
#include <limits>

#include "element.hpp"
#include "vector.hpp"

namespace rectified::RECTIFIED_TARGET {
namespace {

using B = batch<float, 1>;
constexpr npy_intp few = 64;  // numbers that a lane adds up in float32, so that its rounding does not add up
constexpr float infinite = std::numeric_limits<float>::infinity();

// Lanes of numbers, each on its own. Comparisons with NaN are false: it is in the sums alone.
template <int Turns, int Intervals>
struct lanes_of_numbers {
    static constexpr int extremes = Turns + 1;

    const measured &given;
    B turn[Turns > 0 ? Turns : 1], first[Intervals ? Intervals : 1], last[Intervals ? Intervals : 1];
    B total = 0.0f, magnitude = 0.0f, low[extremes ? extremes : 1], high[extremes ? extremes : 1];
    typename B::integer fired = 0;

    RECTIFIED_INLINE explicit lanes_of_numbers(const measured &given) : given(given) {
        for (int k = 0; k < Turns; ++k) turn[k] = given.turn[k];
        for (int k = 0; k < Intervals; ++k) first[k] = given.interval[2 * k], last[k] = given.interval[2 * k + 1];
        for (int k = 0; k < extremes; ++k) low[k] = infinite, high[k] = -infinite;
    }

    RECTIFIED_INLINE void add(const float *from_x, const float *from_y) {
        const B x = load<B>(from_x), y = load<B>(from_y);
        total = total + y;
        magnitude = magnitude + abs(y);
#pragma GCC unroll 2
        for (int k = 0; k < Intervals; ++k) fired = fired - ((x >= first[k]) & (x <= last[k]));
#pragma GCC unroll 4
        for (int k = 0; k < Turns; ++k) {
            const auto is_above = x > turn[k];
            low[k] = lesser(select(is_above, x, B(infinite)), low[k]);
            high[k] = greater(select(is_above, B(-infinite), x), high[k]);
        }
        if constexpr (extremes > 0) {
            low[Turns] = lesser(x, low[Turns]);
            high[Turns] = greater(x, high[Turns]);
        }
    }

    // One number, in the first lane.
    void add_one(float x, float y) {
        const B none = std::numeric_limits<float>::quiet_NaN();
        float xs[B::lanes], ys[B::lanes] = {y};
        store(xs, none);
        xs[0] = x;
        add(xs, ys);
    }

    // Put the sums of each lane in and begin them anew.
    RECTIFIED_INLINE void add_to(double *totals, double *magnitudes, double *counts) {
        for (int lane = 0; lane < B::lanes; ++lane) {
            totals[lane] += total.part[0][lane];
            magnitudes[lane] += magnitude.part[0][lane];
            counts[lane] += fired.part[0][lane];
        }
        total = magnitude = 0.0f;
        fired = 0;
    }
};

template <int Turns, int Intervals>
struct measuring {
    using lanes_t = lanes_of_numbers<Turns, Intervals>;
    const measured &given;

    void run() const {
        npy_intp unit = 0;
        if (given.after == 1)
            for (; unit + B::lanes <= given.units; unit += B::lanes) side_by_side(unit);
        for (; unit < given.units; ++unit) one(unit);
    }

    npy_intp place(npy_intp before, npy_intp unit) const { return (before * given.units + unit) * given.after; }

    void side_by_side(npy_intp unit) const {
        double total[B::lanes] = {}, magnitude[B::lanes] = {}, fired[B::lanes] = {};
        lanes_t some(given);
        for (npy_intp i = 0; i < given.before;) {
            for (const npy_intp stop = std::min(given.before, i + few); i < stop; ++i)
                some.add(given.x + place(i, unit), given.y + place(i, unit));
            some.add_to(total, magnitude, fired);
        }
        for (int lane = 0; lane < B::lanes; ++lane) {
            put_sums(unit + lane, total[lane], magnitude[lane], fired[lane]);
            for (int k = 0; k < lanes_t::extremes; ++k) {
                given.low[k * given.row + unit + lane] = some.low[k].part[0][lane];
                given.high[k * given.row + unit + lane] = some.high[k].part[0][lane];
            }
        }
    }

    void one(npy_intp unit) const {
        double total[B::lanes] = {}, magnitude[B::lanes] = {}, fired[B::lanes] = {};
        lanes_t some(given);
        npy_intp room = few;
        const auto empty = [&] {
            some.add_to(total, magnitude, fired);
            room = few;
        };
        for (npy_intp i = 0; i < given.before; ++i) {
            const float *x = given.x + place(i, unit), *y = given.y + place(i, unit);
            npy_intp left = given.after;
            while (const npy_intp now = std::min(room, left / B::lanes)) {
                for (npy_intp k = 0; k < now; ++k, x += B::lanes, y += B::lanes) some.add(x, y);
                left -= now * B::lanes;
                if (!(room -= now)) empty();
            }
            for (; left; --left) {
                some.add_one(*x++, *y++);
                if (!--room) empty();
            }
        }
        empty();
        const auto sum = [](const double (&lanes)[B::lanes]) {
            double all = 0;
            for (const double lane : lanes) all += lane;
            return all;
        };
        put_sums(unit, sum(total), sum(magnitude), sum(fired));
        for (int k = 0; k < lanes_t::extremes; ++k) {
            float low = infinite, high = -infinite;
            for (int lane = 0; lane < B::lanes; ++lane) {
                low = std::min(low, some.low[k].part[0][lane]);
                high = std::max(high, some.high[k].part[0][lane]);
            }
            given.low[k * given.row + unit] = low;
            given.high[k * given.row + unit] = high;
        }
    }

    void put_sums(npy_intp unit, double total, double magnitude, double fired) const {
        given.total[unit] = static_cast<float>(total);
        given.magnitude[unit] = static_cast<float>(magnitude);
        given.fired[unit] = static_cast<float>(fired);
    }
};

template <int Turns>
bool measure_with(const measured &given) {
    switch (given.intervals) {
        case 0:
            measuring<Turns, 0>{given}.run();
            return true;
        case 1:
            measuring<Turns, 1>{given}.run();
            return true;
        case 2:
            measuring<Turns, 2>{given}.run();
            return true;
        default:
            return false;
    }
}

}  // namespace

bool measure(const measured &given) {
    switch (given.turns) {
        case -1:
            return measure_with<-1>(given);
        case 0:
            return measure_with<0>(given);
        case 1:
            return measure_with<1>(given);
        case 3:
            return measure_with<3>(given);
        default:
            return false;
    }
}

}  // namespace rectified::RECTIFIED_TARGET
