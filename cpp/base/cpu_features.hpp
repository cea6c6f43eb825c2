// Which instructions this processor has: for run-time dispatch, and because floating-point results may depend on them.
#pragma once

#include <string>
#include <vector>

namespace fastmas::base {

bool cpu_has_sha_ni() noexcept;  // with the SSE4.1 and SSSE3 shuffles that code written for it needs as well
bool cpu_has_sse42() noexcept;

// Sorted names of the features that numpy and BLAS pick their kernels by; empty where they are not known.
std::vector<std::string> cpu_features();

}  // namespace fastmas::base
