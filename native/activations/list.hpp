// The list of all ridge functions.
#pragma once

#include "rectifiers.hpp"
#include "sigmoidal.hpp"

namespace rectified::RECTIFIED_TARGET {

template <class... F>
struct list {};

using ridge_functions = list<relu, leaky_relu, sigmoid, tanh>;

}  // namespace rectified::RECTIFIED_TARGET
