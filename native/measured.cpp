#include "measured.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <numeric>

#include "element.hpp"
#include "vector.hpp"

namespace rectified::RECTIFIED_TARGET {
namespace {

using B = batch<float, 1>;
constexpr npy_intp ahead = 1024;  // numbers, beyond the page that the processor fetches by itself
constexpr npy_intp few = 64;      // numbers that a lane adds up in float32, so that its rounding does not add up
constexpr float infinite = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

// Lanes of numbers, each on its own. Comparisons with NaN are false: it is in the sums alone.
template <int Turns, int Begins, int Ends>
class measuring {
  public:
    measuring(const measured &given, const float *x, const float *y) : given(given), x(x), y(y) {}

    void run(npy_intp rows, const found_of_units &to) const {
        if (given.after > 1) {
            for (npy_intp unit = 0; unit < given.units; ++unit) one(rows, unit, to);
            return;
        }
        for (npy_intp start = 0; start < rows; start += few) {
            const npy_intp stop = std::min(rows, start + few);
            npy_intp unit = 0;
            for (; unit + B::lanes <= given.units; unit += B::lanes) side_by_side(start, stop, unit, B::lanes, to);
            if (unit < given.units) side_by_side(start, stop, unit, given.units - unit, to);
        }
    }

  private:
    static constexpr int extremes = Turns + 1;

    struct lanes_of_numbers {
        B turn[Turns > 0 ? Turns : 1], begin[Begins ? Begins : 1], end[Ends ? Ends : 1];
        B total = 0.0f, magnitude = 0.0f, low[extremes ? extremes : 1], high[extremes ? extremes : 1];
        typename B::integer fired = 0;

        RECTIFIED_INLINE explicit lanes_of_numbers(const measured &given) {
            for (int k = 0; k < Turns; ++k) turn[k] = given.turn[k];
            for (int k = 0; k < Begins; ++k) begin[k] = given.begin[k];
            for (int k = 0; k < Ends; ++k) end[k] = given.end[k];
            for (int k = 0; k < extremes; ++k) low[k] = infinite, high[k] = -infinite;
        }

        RECTIFIED_INLINE void add(const B &x, const B &y) {
            total = total + y;
            magnitude = magnitude + abs(y);
#pragma GCC unroll 2
            for (int k = 0; k < Begins; ++k) fired = fired - (x > begin[k]);
            for (int k = 0; k < Ends; ++k) fired = fired + (x >= end[k]);
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

        RECTIFIED_INLINE void add(const float *x, const float *y) {
            __builtin_prefetch(x + ahead);
            __builtin_prefetch(y + ahead);
            add(load<B>(x), load<B>(y));
        }

        // Fewer numbers than lanes.
        RECTIFIED_INLINE void add(const float *x, const float *y, npy_intp count) {
            add(load_first<float>(x, count, not_a_number), load_first<float>(y, count, 0.0f));
        }

        // Put the sums of so many lanes in and begin them anew.
        RECTIFIED_INLINE void add_up(double *totals, double *magnitudes, double *counts, npy_intp lanes) {
            for (npy_intp lane = 0; lane < lanes; ++lane) {
                totals[lane] += total.part[0][lane];
                magnitudes[lane] += magnitude.part[0][lane];
                counts[lane] += fired.part[0][lane];
            }
            total = magnitude = 0.0f;
            fired = 0;
        }
    };

    // Units that lie side by side, each in a lane, and few rows of them.
    RECTIFIED_INLINE void side_by_side(npy_intp start, npy_intp stop, npy_intp unit, npy_intp lanes,
                                       const found_of_units &to) const {
        lanes_of_numbers some(given);
        for (npy_intp row = start; row < stop; ++row) {
            const npy_intp place = row * given.units + unit;
            if (lanes == B::lanes)
                some.add(x + place, y + place);
            else
                some.add(x + place, y + place, lanes);
        }
        some.add_up(to.total + unit, to.magnitude + unit, to.fired + unit, lanes);
        for (int k = 0; k < extremes; ++k) {
            float *const least = to.low + k * given.units + unit, *const most = to.high + k * given.units + unit;
            for (npy_intp lane = 0; lane < lanes; ++lane) {
                least[lane] = std::min(least[lane], some.low[k].part[0][lane]);
                most[lane] = std::max(most[lane], some.high[k].part[0][lane]);
            }
        }
    }

    // One unit, whose numbers lie side by side in each row.
    void one(npy_intp rows, npy_intp unit, const found_of_units &to) const {
        double total[B::lanes] = {}, magnitude[B::lanes] = {}, fired[B::lanes] = {};
        lanes_of_numbers some(given);
        npy_intp room = few;
        const auto add_up = [&] {
            some.add_up(total, magnitude, fired, B::lanes);
            room = few;
        };
        for (npy_intp row = 0; row < rows; ++row) {
            const npy_intp place = (row * given.units + unit) * given.after;
            const float *from_x = x + place, *from_y = y + place;
            npy_intp left = given.after;
            while (const npy_intp now = std::min(room, left / B::lanes)) {
                for (npy_intp k = 0; k < now; ++k, from_x += B::lanes, from_y += B::lanes) some.add(from_x, from_y);
                left -= now * B::lanes;
                if (!(room -= now)) add_up();
            }
            if (left) {
                some.add(from_x, from_y, left);
                if (!--room) add_up();
            }
        }
        add_up();
        const auto sum = [](const double (&lanes)[B::lanes]) { return std::accumulate(lanes, lanes + B::lanes, 0.0); };
        to.total[unit] += sum(total);
        to.magnitude[unit] += sum(magnitude);
        to.fired[unit] += sum(fired);
        for (int k = 0; k < extremes; ++k) {
            float &least = to.low[k * given.units + unit], &most = to.high[k * given.units + unit];
            for (int lane = 0; lane < B::lanes; ++lane) {
                least = std::min(least, some.low[k].part[0][lane]);
                most = std::max(most, some.high[k].part[0][lane]);
            }
        }
    }

    const measured &given;
    const float *const x, *const y;
};

template <int Turns, int Begins, int Ends>
void measure_with(const measured &given, npy_intp rows, const float *x, const float *y, const found_of_units &to) {
    measuring<Turns, Begins, Ends>(given, x, y).run(rows, to);
}

// The same for any turns and intervals, number by number.
void measure_any(const measured &given, npy_intp rows, const float *x, const float *y, const found_of_units &to) {
    for (npy_intp row = 0; row < rows; ++row)
        for (npy_intp unit = 0; unit < given.units; ++unit)
            for (npy_intp k = 0; k < given.after; ++k, ++x, ++y) {
                to.total[unit] += *y;
                to.magnitude[unit] += std::fabs(*y);
                to.fired[unit] +=
                    std::count_if(given.begin, given.begin + given.begins, [&](float at) { return *x > at; }) -
                    std::count_if(given.end, given.end + given.ends, [&](float at) { return *x >= at; });
                for (npy_intp turn = 0; turn <= given.turns; ++turn) {
                    float &least = to.low[turn * given.units + unit], &most = to.high[turn * given.units + unit];
                    if (turn == given.turns || *x > given.turn[turn]) least = std::min(least, *x);
                    if (turn == given.turns || !(*x > given.turn[turn])) most = std::max(most, *x);
                }
            }
}

struct known {
    npy_intp turns, begins, ends;
    measure_t *run;
};

template <int Turns, int Begins, int Ends>
constexpr known with = {Turns, Begins, Ends, measure_with<Turns, Begins, Ends>};

// Those that the functions of the catalogue have.
constexpr known all[] = {with<-1, 1, 0>, with<-1, 1, 1>, with<0, 0, 0>, with<0, 0, 1>, with<0, 1, 0>,
                         with<1, 1, 0>,  with<1, 1, 1>,  with<3, 1, 0>, with<3, 1, 1>, with<3, 2, 1>};

}  // namespace

void measure(const measured &given, npy_intp rows, const float *x, const float *y, const found_of_units &to) {
    const auto found = std::find_if(std::begin(all), std::end(all), [&](const known &each) {
        return each.turns == given.turns && each.begins == given.begins && each.ends == given.ends;
    });
    (found == std::end(all) ? measure_any : found->run)(given, rows, x, y, to);
    if (given.fires_below)
        for (npy_intp unit = 0; unit < given.units; ++unit) to.fired[unit] += rows * given.after;
}

}  // namespace rectified::RECTIFIED_TARGET
