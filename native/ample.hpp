// float64 with digits to spare.
#pragma once

#include <limits>

namespace rectified {

// What is stored in a shorter type is computed in it without pairs of numbers: its own rounding errors are not seen.
struct ample {
    double value;
    constexpr ample(double number) : value(number) {}
    constexpr operator double() const { return value; }
};

}  // namespace rectified

template <>
struct std::numeric_limits<rectified::ample> : std::numeric_limits<double> {};
