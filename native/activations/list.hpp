// The lists of all functions, by category.
#pragma once

#include "fold.hpp"
#include "rectifiers.hpp"
#include "sigmoidal.hpp"

namespace rectified::RECTIFIED_TARGET {

template <class... F>
struct list {};

using ridge_functions = list<relu, leaky_relu, sigmoid, tanh>;
using folds = list<maxout>;

}  // namespace rectified::RECTIFIED_TARGET
