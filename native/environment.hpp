// The floating-point environment of a loop: the default one inside, the caller's again outside.
//
// Inside, subnormal numbers are kept even where the caller flushes them (torch.set_flush_denormal), and what the kernels do
// on branches they do not take raises no flag that NumPy would report.
#pragma once

#if defined(__x86_64__)
#include <xmmintrin.h>
#else
#include <cfenv>
#endif

namespace rectified {

class default_environment {
  public:
#if defined(__x86_64__)
    // Writing the register costs as much as a short loop, and is seldom needed.
    default_environment() : saved_(_mm_getcsr()) {
        if ((saved_ & ~flags) != standard) _mm_setcsr(standard);
    }
    ~default_environment() {
        if ((_mm_getcsr() ^ saved_) & ~inexact) _mm_setcsr(saved_);
    }

  private:
    static constexpr unsigned standard = 0x1F80, flags = 0x3F, inexact = 0x20;
    const unsigned saved_;
#else
    default_environment() {
        std::fegetenv(&saved_);
        std::fesetenv(FE_DFL_ENV);
    }
    ~default_environment() { std::fesetenv(&saved_); }

  private:
    std::fenv_t saved_;
#endif
};

}  // namespace rectified
