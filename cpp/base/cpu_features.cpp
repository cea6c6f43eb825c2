#include "base/cpu_features.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace fastmas::base {

#if defined(__x86_64__)

namespace {

struct Leaves {
    unsigned ecx1 = 0;  // leaf 1
    unsigned ebx7 = 0;  // leaf 7, sub-leaf 0
};

Leaves read_leaves() noexcept {
    Leaves leaves;
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx)) leaves.ecx1 = ecx;
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) leaves.ebx7 = ebx;
    return leaves;
}

constexpr unsigned kSsse3 = 1U << 9;
constexpr unsigned kSse41 = 1U << 19;
constexpr unsigned kSse42 = 1U << 20;
constexpr unsigned kSha = 1U << 29;

}  // namespace

bool cpu_has_sha_ni() noexcept {
    const Leaves leaves = read_leaves();
    return (leaves.ebx7 & kSha) != 0 && (leaves.ecx1 & kSse41) != 0 && (leaves.ecx1 & kSsse3) != 0;
}

bool cpu_has_sse42() noexcept {
    return (read_leaves().ecx1 & kSse42) != 0;
}

std::vector<std::string> cpu_features() {
    // __builtin_cpu_supports also asks whether the operating system saves the wide registers.
    std::vector<std::string> names;
    const auto add = [&names](bool has, const char* name) {
        if (has) names.emplace_back(name);
    };
    __builtin_cpu_init();
    add(__builtin_cpu_supports("avx") != 0, "avx");
    add(__builtin_cpu_supports("avx2") != 0, "avx2");
    add(__builtin_cpu_supports("avx512bw") != 0, "avx512bw");
    add(__builtin_cpu_supports("avx512dq") != 0, "avx512dq");
    add(__builtin_cpu_supports("avx512f") != 0, "avx512f");
    add(__builtin_cpu_supports("avx512vl") != 0, "avx512vl");
    add(__builtin_cpu_supports("fma") != 0, "fma");
    add(cpu_has_sha_ni(), "sha_ni");
    add(__builtin_cpu_supports("sse4.1") != 0, "sse4.1");
    add(cpu_has_sse42(), "sse4.2");
    return names;
}

#else

bool cpu_has_sha_ni() noexcept {
    return false;
}
bool cpu_has_sse42() noexcept {
    return false;
}
std::vector<std::string> cpu_features() {
    return {};
}

#endif

}  // namespace fastmas::base
