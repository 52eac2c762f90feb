// The categories of activations. A struct that derives from one of them is an activation, and the build finds it.
#pragma once

namespace rectified {

struct ridge {};   // a function of one number
struct radial {};  // a function of the distance to a centre
struct fold {};    // a function of a group of numbers

}  // namespace rectified
